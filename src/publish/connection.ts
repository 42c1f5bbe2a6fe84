import type { IClientOptions } from 'mqtt';
import type { Logger } from 'pino';
import type { Clock } from '../platform/clock.ts';
import { explain } from './failures.ts';
import { type Message, Session } from './session.ts';

/** Where to connect and how; asked for anew at each attempt, so that a replaced password or certificate counts. */
export interface Target extends IClientOptions {
  protocol: 'mqtt' | 'mqtts' | 'ws' | 'wss';
  host: string;
}

export interface ConnectionOptions {
  /** The broker's address for people. */
  address: string;
  target: () => Promise<Target>;
  /**
   * The same at each connection: a broker that has not noticed yet that the last one is dead ends it then, and sends
   * its last will, before it accepts the new one.
   */
  clientId: string;
  /** What the broker says in our name when we vanish. */
  will: Message;
  /** Topic filters to listen to. */
  filters: string[];
  /** Topic filters whose retained messages are wanted too, once, at the first connection. */
  survey: string[];
  /** Seconds after which a silent connection is probed; after one and a half of that it counts as dead. */
  keepalive: number;
  /** Longest wait for the broker's first answer, in milliseconds. */
  timeout?: number;
  clock: Clock;
  log: Logger;
  /** 0…1 */
  random: () => number;
  onUp: () => void;
  onDown: () => void;
  onMessage: (topic: string, payload: Buffer, retained: boolean) => void;
}

const FIRST_DELAY = 1000;
const LONGEST_DELAY = 30_000;
/** A connection that lasted this long (ms) makes the next delay the first one again. */
const STABLE = 10_000;
const TIMEOUT = 10_000;
/** Milliseconds in which a broker has sent its retained messages. */
const SURVEY = 5000;

/**
 * Milliseconds before the next attempt: 1 s, doubled with each failure up to 30 s, plus up to a quarter by chance so
 * that many devices do not come back to a broker at the same instant.
 */
export function retryDelay(failures: number, random: () => number): number {
  return Math.min(FIRST_DELAY * 2 ** Math.min(failures, 10), LONGEST_DELAY) * (1 + random() / 4);
}

/**
 * Keeps a connection to the broker: one session after the other, with waits in between. Every session is a clean one:
 * what must not get lost lies in the outbox, what is current in the live state, and a command that was given while
 * nobody listened would come as a surprise.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  #session: Session | null = null;
  #up = false;
  #stopping = false;
  #running: Promise<void> | null = null;
  #wait: PromiseWithResolvers<void> | null = null;
  #settled = Promise.withResolvers<void>();
  #count = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  get up(): boolean {
    return this.#up;
  }

  /** How many connections there have been. */
  get count(): number {
    return this.#count;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** See Session.publish. */
  publish(message: Message): Promise<void> {
    return this.#session && this.#up
      ? this.#session.publish(message)
      : Promise.reject(new Error('no connection to the broker'));
  }

  /** Resolves when the attempt that is under way has come to an end, or at once if there is none. */
  async attempted(): Promise<void> {
    if (this.#session && !this.#up) await this.#settled.promise;
  }

  /** Closes the connection, within `ms`, and opens no other. */
  async stop(ms: number): Promise<void> {
    this.#stopping = true;
    this.#wait?.resolve();
    const { clock } = this.#options;
    if (this.#up) await this.#session?.close(ms, (delay, callback) => clock.after(delay, callback));
    else this.#session?.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { address, log, random } = this.#options;
    let brief = 0;
    for (let failures = 0; !this.#stopping; failures++) {
      const { reason, lasted, acknowledged } = await this.#connect();
      if (this.#stopping) return;
      if (lasted !== null) brief = lasted < STABLE ? brief + 1 : 0;
      if (lasted !== null && lasted >= STABLE) failures = 0;
      const delay = retryDelay(failures, random);
      const error = explain(address, reason, { up: lasted !== null, acknowledged, brief });
      const next = `next attempt in ${Math.round(delay / 1000)} s`;
      log.warn({ code: error.code, hint: error.hint }, `${error.message}; ${next}`);
      await this.#pause(delay);
    }
  }

  /** One session, from its attempt to its end. `lasted`: milliseconds that it was up; null: it never was. */
  async #connect(): Promise<{ reason: unknown; lasted: number | null; acknowledged: number }> {
    const { clock, clientId, will, keepalive, timeout = TIMEOUT, onDown, onMessage } = this.#options;
    this.#settled = Promise.withResolvers();
    let acknowledged = 0;
    let since: number | null = null;
    let reason: unknown;
    try {
      const target = await this.#options.target();
      if (this.#stopping) return { reason: null, lasted: null, acknowledged };
      const session = new Session(
        { ...target, clientId, keepalive, connectTimeout: timeout, will: asWill(will) },
        {
          up: () => {
            since = clock.monotonic();
            this.#opened(session);
          },
          message: onMessage,
        },
      );
      this.#session = session;
      reason = await session.ended;
      acknowledged = session.acknowledged;
    } catch (error) {
      reason = error;
    }
    this.#session = null;
    this.#settled.resolve();
    if (this.#up) {
      this.#up = false;
      onDown();
    }
    return { reason, lasted: since === null ? null : clock.monotonic() - since, acknowledged };
  }

  #opened(session: Session): void {
    const { address, filters, log, onUp } = this.#options;
    this.#up = true;
    this.#count++;
    log.info(`connected to the MQTT broker ${address}`);
    void session.subscribe(filters).then((granted) => {
      if (granted || session !== this.#session) return;
      log.error(
        { code: 'MQTT_FORBIDDEN', filters, hint: 'Allow it in the access rules of the broker.' },
        'the broker does not let this device listen for commands',
      );
    });
    if (this.#count === 1) this.#survey(session);
    this.#settled.resolve();
    onUp();
  }

  /** Has the broker send what lies there. It may refuse: nobody depends on it. */
  #survey(session: Session): void {
    const { survey, clock } = this.#options;
    void session.subscribe(survey).then((granted) => {
      if (granted) clock.after(SURVEY, () => session.unsubscribe(survey));
    });
  }

  async #pause(ms: number): Promise<void> {
    const wait = Promise.withResolvers<void>();
    this.#wait = wait;
    const cancel = this.#options.clock.after(ms, wait.resolve);
    await wait.promise;
    cancel();
    this.#wait = null;
  }
}

function asWill({ topic, payload, qos, retain }: Message): NonNullable<IClientOptions['will']> {
  return { topic, payload: Buffer.from(payload), qos, retain };
}
