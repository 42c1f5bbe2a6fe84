import type { MessagePort } from 'node:worker_threads';
import type { SlotQueue } from './queue.ts';

export interface SessionsOptions {
  queue: SlotQueue;
  /** One for each session. */
  ports: readonly MessagePort[];
  /** Takes a slot that the model has answered in. */
  onAnswer: (slot: number) => void;
  /** Called when a session wakes this thread; it should `attend` then. */
  onWake: () => void;
  /** Called when a session has ended without having been asked to. */
  onEnd: () => void;
}

/** The sessions of one model, seen from the thread that fills their slots. */
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

  /** Has the model run on a slot. */
  infer(slot: number): void {
    const session = this.#options.queue.put(slot);
    if (session >= 0) this.#options.ports[session]!.postMessage(null);
  }

  /** Takes the answers that there are. @returns whether there were any */
  takeAnswers(): boolean {
    const { queue, onAnswer } = this.#options;
    let any = false;
    for (let slot = queue.nextAnswer(); slot >= 0; slot = queue.nextAnswer()) {
      any = true;
      onAnswer(slot);
    }
    return any;
  }

  /** Whether this thread looks for answers before it sleeps, so that sessions need not wake it. */
  setAwake(awake: boolean): void {
    if (awake) this.#options.queue.visionWakes();
    else this.#options.queue.visionSleeps();
  }

  /** Ends the sessions. */
  close(): void {
    this.#closed = true;
    for (const port of this.#options.ports) port.close();
  }
}

/** Does some work and takes the answers that come meanwhile, and those to what was asked for on account of them. */
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
