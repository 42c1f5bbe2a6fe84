/** Parses incoming commands, applies them and logs them at most once a second for each setting. */
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { Limiter } from '../runtime/limiter.ts';
import { type Command, readCommand } from './commands.ts';
import { statePayload } from './payloads.ts';
import type { Topics } from './topics.ts';

export interface IntakeOptions {
  topics: Topics;
  /** Names of the configured cameras, and of the models that they may use. */
  known: () => { cameras: ReadonlySet<string>; models: readonly string[] };
  clock: Clock;
  log: Logger;
  /** Applies a valid command. If it throws, the command is refused. */
  onCommand: (command: Command) => void;
}

export class CommandIntake {
  readonly #options: IntakeOptions;
  readonly #refusals: Limiter;
  /** Log limiters of applied commands, by topic. */
  readonly #accepted = new Map<string, Limiter>();
  #refused = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
    const { clock, log } = options;
    this.#refusals = new Limiter(clock, (message, times) =>
      log.warn({ times }, `command refused: ${message}`),
    );
  }

  get refused(): number {
    return this.#refused;
  }

  /** Handles a message; a topic that is not a command topic is ignored. */
  receive(topic: string, payload: Uint8Array, retained: boolean): void {
    const { topics, known } = this.#options;
    const addressed = topics.parseCommand(topic);
    if (!addressed) return;
    if (retained) {
      this.#refuse(
        topic,
        'expected a command without the retain flag, which would repeat it at each connection',
      );
      return;
    }
    const command = readCommand(known(), addressed, payload);
    if (typeof command === 'string') this.#refuse(topic, command);
    else this.#apply(topic, command);
  }

  /** Logs what the limiters still hold. */
  close(): void {
    for (const limiter of [this.#refusals, ...this.#accepted.values()]) limiter.close();
  }

  #apply(topic: string, command: Command): void {
    try {
      this.#options.onCommand(command);
    } catch (error) {
      this.#refuse(topic, messageOf(error));
      return;
    }
    const { camera, setting, value } = command;
    const state = setting === 'snapshot' ? '' : ` is ${value === null ? 'reset' : statePayload(value)}`;
    this.#limiterOf(topic).add(`command applied: ${setting} of ${camera}${state}`);
  }

  #limiterOf(topic: string): Limiter {
    const { clock, log } = this.#options;
    let limiter = this.#accepted.get(topic);
    if (!limiter) {
      limiter = new Limiter(clock, (message, times) => log.info(times === 1 ? {} : { times }, message));
      this.#accepted.set(topic, limiter);
    }
    return limiter;
  }

  #refuse(topic: string, why: string): void {
    this.#refused++;
    this.#refusals.add(`${topic}: ${why}`);
  }
}
