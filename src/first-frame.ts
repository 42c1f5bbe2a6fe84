import type { Logger } from 'pino';
import type { Clock } from './runtime/clock.ts';

/** How long the first frame has the processor for itself after the start, in ms. */
const CALM_MS = 500;

/** Keeps what the first frame does not need from competing with it for the processor. */
export class FirstFrame {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #calm = Promise.withResolvers<void>();
  #classified = false;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Resolves when the first frame is classified, or 500 ms after `expect`. */
  get calm(): Promise<void> {
    return this.#calm.promise;
  }

  /** Call when all cameras have started. */
  expect(): void {
    this.#clock.after(CALM_MS, this.#calm.resolve);
  }

  /** Call with the camera of each classified frame; only the first is logged. */
  classified(camera: string): void {
    if (this.#classified) return;
    this.#classified = true;
    this.#calm.resolve();
    const seconds = process.uptime().toFixed(2);
    this.#log.info({ camera }, `first frame classified ${seconds} s after the start of the process`);
  }
}
