import type { Logger } from 'pino';
import type { Service } from '../types.ts';

/**
 * The parts of a program. They are registered in the order in which data passes back through them, and stopped in
 * reverse, whatever the order of their starts was.
 */
export class Parts {
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  readonly #parts: { name: string; part: Service; started: boolean }[] = [];

  /** @param signal while it is aborted, no part starts */
  constructor(log: Logger, signal: AbortSignal) {
    this.#log = log;
    this.#signal = signal;
  }

  /** @param name for the log */
  register(name: string, part: Service): void {
    this.#parts.push({ name, part, started: false });
  }

  /** @throws the reason of the signal when it is aborted; whatever the part throws, which is stopped all the same */
  async start(part: Service): Promise<void> {
    this.#signal.throwIfAborted();
    const registered = this.#parts.find((other) => other.part === part);
    if (!registered) throw new Error('a part must be registered before it starts');
    registered.started = true;
    await part.start();
  }

  /** Stops all parts that were started. One that fails is logged and does not keep the others from stopping. */
  async stop(): Promise<void> {
    for (let last = this.#parts.pop(); last; last = this.#parts.pop()) {
      if (!last.started) continue;
      try {
        await last.part.stop();
      } catch (err) {
        this.#log.error({ err }, `${last.name} did not stop cleanly`);
      }
    }
  }
}
