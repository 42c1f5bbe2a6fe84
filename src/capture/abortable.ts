import { type Clock, sleep } from '../runtime/clock.ts';

/** Settles as `promise` does, but resolves as soon as `signal` aborts. */
export async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let stop = () => {};
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    signal.addEventListener('abort', stop);
  });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Lets pictures through at a steady rate; one that is late by more than an interval starts the rhythm anew. */
export class Pacer {
  readonly #clock: Clock;
  readonly #interval: number;
  #due: number | null = null;

  constructor(clock: Clock, fps: number) {
    this.#clock = clock;
    this.#interval = 1000 / fps;
  }

  /** Resolves when the next picture is due, or when `signal` aborts. The first is due at once. */
  async next(signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonic();
    const due = this.#due ?? now;
    if (due > now) await sleep(this.#clock, due - now, signal);
    this.#due = (now - due > this.#interval ? now : due) + this.#interval;
  }
}
