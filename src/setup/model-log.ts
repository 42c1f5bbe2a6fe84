import type { Logger } from 'pino';
import { describeKernel } from '../model/int8-kernel.ts';
import type { SessionInfo } from '../vision/inference-session.ts';
import type { Resolved } from './resolved.ts';

/** Logs what runs each model, once from when it comes into use until it is out of use. */
export class ModelLog {
  readonly #log: Logger;
  #logged = new Set<string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @param sessions what runs the models that are in use, by their key */
  update({ models }: Pick<Resolved, 'models'>, sessions: ReadonlyMap<string, SessionInfo>): void {
    const log = this.#log;
    const byKey = new Map([...models.values()].map((model) => [model.key, model]));
    for (const [key, { description, note }] of byKey) {
      const session = sessions.get(key);
      if (!session || this.#logged.has(key)) continue;
      const { name, input, warning } = description;
      const threads = `${session.threads} ${session.threads === 1 ? 'thread' : 'threads'}`;
      const level = session.kernel.name === 'saturating' ? 'warn' : 'info';
      const runs = `on ${session.provider} with ${threads}, ${describeKernel(session.kernel)}`;
      log[level](`model ${name}, ${input.width}×${input.height}, ${runs}`);
      if (note) log[note.problem ? 'warn' : 'info'](note.text);
      if (warning) log.warn(warning);
    }
    this.#logged = new Set(sessions.keys());
  }
}
