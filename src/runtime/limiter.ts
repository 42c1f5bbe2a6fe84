import type { Clock } from './clock.ts';

export interface LimiterOptions {
  /** Shortest time between two lines, in ms. */
  windowMs?: number;
  /** Whether what arrives within the window is logged at its end; false: it is dropped. */
  trailing?: boolean;
}

/** Turns a storm of messages into one per second: the first immediately, then the latest with the number of them. */
export class Limiter<T = string> {
  readonly #clock: Clock;
  readonly #log: (message: T, count: number) => void;
  readonly #windowMs: number;
  readonly #trailing: boolean;
  #latest: T | undefined;
  #count = 0;
  #cancel: (() => void) | null = null;

  /** @param log gets the latest message and how many messages it stands for */
  constructor(
    clock: Clock,
    log: (message: T, count: number) => void,
    { windowMs = 1000, trailing = true }: LimiterOptions = {},
  ) {
    this.#clock = clock;
    this.#log = log;
    this.#windowMs = windowMs;
    this.#trailing = trailing;
  }

  add(message: T): void {
    if (this.#cancel !== null && !this.#trailing) return;
    this.#latest = message;
    this.#count++;
    if (this.#cancel === null) this.#flush();
  }

  /** Logs what is held back and stops the timer. */
  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    if (this.#count > 0) this.#log(this.#latest as T, this.#count);
    this.#count = 0;
  }

  #flush(): void {
    this.#cancel = null;
    if (this.#count === 0) return;
    this.#log(this.#latest as T, this.#count);
    this.#count = 0;
    this.#cancel = this.#clock.after(this.#windowMs, () => this.#flush());
  }
}
