import type { MessagePort } from 'node:worker_threads';
import type { SlotQueue } from './queue.ts';

export interface SessionsOptions {
  queue: SlotQueue;
  /** One for each session. */
  ports: readonly MessagePort[];
  /** Receives a slot with a result of the model. */
  onAnswer: (slot: number) => void;
  /** Called when a session wakes this thread, which should then call `attend`. */
  onWake: () => void;
  /** Called when a session has ended unexpectedly. */
  onEnd: () => void;
}

/** The sessions of one model, for the thread that fills their slots. */
export class Sessions {
  readonly #options: SessionsOptions;
  #closed = false;

  constructor(options: SessionsOptions) {
    this.#options = options;
    for (const port of options.ports) {
      port.on('message', options.onWake);
      port.on('close', () => {
        if (!this.#closed) options.onEnd();
      });
    }
  }

  /** Runs the model on a slot. */
  infer(slot: number): void {
    const session = this.#options.queue.put(slot);
    if (session >= 0) this.#options.ports[session]!.postMessage(null);
  }

  /** Passes on all available results. @returns whether there were any */
  takeAnswers(): boolean {
    const { queue, onAnswer } = this.#options;
    let any = false;
    for (let slot = queue.nextAnswer(); slot >= 0; slot = queue.nextAnswer()) {
      any = true;
      onAnswer(slot);
    }
    return any;
  }

  /** Sets whether this thread polls for results before it sleeps, so that sessions need not wake it. */
  setAwake(awake: boolean): void {
    if (awake) this.#options.queue.visionWakes();
    else this.#options.queue.visionSleeps();
  }

  close(): void {
    this.#closed = true;
    for (const port of this.#options.ports) port.close();
  }
}

/** Does `work` and passes on the results that arrive meanwhile, until there are no more. */
export function attend(all: Iterable<Sessions>, work: () => void): void {
  for (const sessions of all) sessions.setAwake(true);
  work();
  takeAll(all);
  for (const sessions of all) sessions.setAwake(false);
  takeAll(all);
}

function takeAll(all: Iterable<Sessions>): void {
  let any = true;
  while (any) {
    any = false;
    for (const sessions of all) any = sessions.takeAnswers() || any;
  }
}
