import { type Clock, sleep } from '../runtime/clock.ts';

/** Settles like `promise`, but resolves as soon as `signal` aborts. */
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

/** Paces frames at a steady rate. A frame that is late by more than one interval restarts the schedule. */
export class Pacer {
  readonly #clock: Clock;
  readonly #interval: number;
  #due: number | null = null;

  constructor(clock: Clock, fps: number) {
    this.#clock = clock;
    this.#interval = 1000 / fps;
  }

  /** Resolves when the next frame is due, or when `signal` aborts. The first frame is due immediately. */
  async next(signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonic();
    const due = this.#due ?? now;
    if (due > now) await sleep(this.#clock, due - now, signal);
    this.#due = (now - due > this.#interval ? now : due) + this.#interval;
  }
}
