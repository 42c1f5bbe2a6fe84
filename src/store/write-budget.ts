import type { Clock } from '../runtime/clock.ts';

const DAY_MS = 86_400_000;

/** Share of a day's budget that is available at the start; less than 1, so that restarts do not add up. */
const AT_START = 0.6;

/** Remaining shares of a day's budget, below each of which the throttle level rises. */
const LEVELS = [0.4, 0.2, 0.05] as const;

/** 0: everything is written immediately; 1 and 2: less often; 3: only events, which are never throttled. */
export type ThrottleLevel = 0 | 1 | 2 | 3;

/** Bytes that may still be written to an SD card: a budget that grows with time, up to that of one day. */
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

  /** @param bytes written since the last call */
  spend(bytes: number): ThrottleLevel {
    const now = this.#clock.monotonic();
    const grown = this.#left + ((now - this.#at) / DAY_MS) * this.#perDay;
    this.#at = now;
    // An overdraft is limited to a day's budget, so that it is recovered within a day.
    this.#left = Math.max(-this.#perDay, Math.min(this.#perDay, grown) - bytes);
    const share = this.#left / this.#perDay;
    return LEVELS.filter((level) => share < level).length as ThrottleLevel;
  }
}
