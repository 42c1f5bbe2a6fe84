import type { Clock } from '../runtime/clock.ts';

const DAY_MS = 86_400_000;

/** Share of a day's allowance with which a start begins: less than a day's, so that restarts do not add up. */
const AT_START = 0.6;

/** Shares of a day's allowance that are left, below which less is written. */
const LEVELS = [0.4, 0.2, 0.05] as const;

/** 0: all is written as it comes; 1 and 2: less often; 3: only events, which are never held back. */
export type ThrottleLevel = 0 | 1 | 2 | 3;

/** How much an SD card may still be given: an allowance that grows with time up to that of one day. */
export class WriteBudget {
  readonly #clock: Clock;
  readonly #perDay: number;
  #left: number;
  #at: number;

  /** @param perDay bytes */
  constructor(perDay: number, clock: Clock) {
    this.#perDay = perDay;
    this.#clock = clock;
    this.#left = perDay * AT_START;
    this.#at = clock.monotonic();
  }

  /** Takes what was written since the last call, bytes; says how thrifty to be. */
  spend(bytes: number): ThrottleLevel {
    const now = this.#clock.monotonic();
    const grown = this.#left + ((now - this.#at) / DAY_MS) * this.#perDay;
    this.#at = now;
    // A debt is no greater than a day's allowance: it is paid back within a day.
    this.#left = Math.max(-this.#perDay, Math.min(this.#perDay, grown) - bytes);
    const share = this.#left / this.#perDay;
    return LEVELS.filter((level) => share < level).length as ThrottleLevel;
  }
}
