import type { Clock } from './clock.ts';

const WINDOW_MS = 1000;

/** Turns a storm of messages into one a second: the first at once, then the latest and how many there were. */
export class Limiter {
  readonly #clock: Clock;
  readonly #say: (message: string, count: number) => void;
  #latest = '';
  #count = 0;
  #cancel: (() => void) | null = null;

  /** @param say gets the latest message and for how many it stands, itself included */
  constructor(clock: Clock, say: (message: string, count: number) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  add(message: string): void {
    this.#latest = message;
    this.#count++;
    if (this.#cancel === null) this.#flush();
  }

  /** Says what is left and stops the timer. */
  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    if (this.#count > 0) this.#say(this.#latest, this.#count);
    this.#count = 0;
  }

  #flush(): void {
    this.#cancel = null;
    if (this.#count === 0) return;
    this.#say(this.#latest, this.#count);
    this.#count = 0;
    this.#cancel = this.#clock.after(WINDOW_MS, () => this.#flush());
  }
}
