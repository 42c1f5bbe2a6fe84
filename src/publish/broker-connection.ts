import type { IClientOptions } from 'mqtt';
import type { Logger } from 'pino';
import type { Clock } from '../runtime/clock.ts';
import { BrokerLimits } from './broker-limits.ts';
import { explain, neverBegun } from './failures.ts';
import type { Session, SessionHandlers } from './mqtt-session.ts';
import type { Message, SessionEnd, TooLargeError } from './requests.ts';

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
  /** Topic filters to listen to, and for those with wildcards what to listen to where the broker refuses them. */
  filters: { filter: string; instead?: () => string[] }[];
  /** Topic filters whose retained messages are wanted too, once, at the first connection. */
  survey: string[];
  /** Seconds after which a silent connection is probed; after one and a half of that it counts as dead. */
  keepalive: number;
  /** Longest wait for the broker's first answer, in milliseconds. */
  timeout?: number;
  /** When to load what speaks MQTT, and to make the first attempt; at once without. */
  begin?: Promise<unknown> | undefined;
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
/** Milliseconds for the goodbye of a session after which another one begins at once. */
const FAREWELL = 1000;
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
  /** What the broker takes. */
  readonly terms = new BrokerLimits();
  readonly #options: ConnectionOptions;
  /** What was said about the broker. */
  readonly #said = new Set<string>();
  #session: Session | null = null;
  /** The session is ended to begin another one at once. */
  #renewing = false;
  #up = false;
  /** The first attempt has begun. */
  #begun = false;
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
  async publish(message: Message): Promise<void> {
    const session = this.#session;
    if (!session || !this.#up) throw new Error('no connection to the broker');
    await session.publish(message);
    this.#sayLimits();
    if (session === this.#session && this.terms.wantsRenewal()) {
      this.#renewing = true;
      await session.close(FAREWELL, (ms, callback) => this.#options.clock.after(ms, callback));
    }
  }

  /** See Session.excess. */
  excess(message: Message): TooLargeError | null {
    return this.#session?.excess(message) ?? null;
  }

  /**
   * Resolves when the attempt that is under way has come to an end, or at once if there is none. The first one begins
   * now if it has not yet.
   */
  async attempted(): Promise<void> {
    if (!this.#begun) this.#wait?.resolve();
    if (!this.#up && (this.#session || !this.#begun)) await this.#settled.promise;
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
    const { address, clientId, log, clock, random, begin } = this.#options;
    this.#wait = Promise.withResolvers();
    await Promise.race([begin, this.#wait.promise]);
    // It brings mqtt.js along, which takes as long to load as a model.
    const { Session } = await import('./mqtt-session.ts');
    let brief = 0;
    for (let failures = 0; !this.#stopping; failures++) {
      const { end, lasted, version } = await this.#connect(Session);
      if (this.#stopping) return;
      if (this.#renewing) {
        this.#renewing = false;
        continue;
      }
      if (lasted !== null) brief = lasted < STABLE ? brief + 1 : 0;
      if (lasted !== null && lasted >= STABLE) failures = 0;
      const { text, again } = this.terms.ended(end, version, clock.monotonic());
      if (text !== null) this.#sayLimit(text);
      if (again) continue;
      const delay = retryDelay(failures, random);
      const error = explain(address, end, { clientId, brief });
      const next = `next attempt in ${Math.round(delay / 1000)} s`;
      log.warn({ code: error.code, hint: error.hint }, `${error.message}; ${next}`);
      await this.#pause(delay);
    }
  }

  /** One session, from its attempt to its end. `lasted`: milliseconds that it was up; null: it never was. */
  async #connect(
    NewSession: typeof Session,
  ): Promise<{ end: SessionEnd; lasted: number | null; version: 4 | 5 }> {
    const { clock, clientId, will, keepalive, timeout = TIMEOUT, onDown, onMessage } = this.#options;
    if (this.#begun) this.#settled = Promise.withResolvers();
    this.#begun = true;
    let since: number | null = null;
    let end: SessionEnd;
    let version: 4 | 5 = 4;
    let cancelSettled = () => {};
    try {
      const target = await this.#options.target();
      if (this.#stopping) return { end: neverBegun(null), lasted: null, version };
      version = target.protocolVersion === 5 ? 5 : 4;
      this.terms.connecting(clock.monotonic());
      const session = new NewSession(
        {
          ...{ ...target, clientId, keepalive, connectTimeout: timeout },
          will: { ...will, payload: Buffer.from(will.payload), ...this.terms.will },
        },
        {
          up: (properties) => {
            since = clock.monotonic();
            cancelSettled = clock.after(STABLE, () => {
              this.terms.settled();
              session.relax();
            });
            this.#opened(session, properties);
          },
          message: onMessage,
        },
        this.terms,
        this.terms.careful,
      );
      this.#session = session;
      end = await session.ended;
    } catch (error) {
      end = neverBegun(error);
    }
    cancelSettled();
    this.#session = null;
    this.#settled.resolve();
    if (this.#up) {
      this.#up = false;
      onDown();
    }
    return { end, lasted: since === null ? null : clock.monotonic() - since, version };
  }

  #opened(session: Session, properties: Parameters<SessionHandlers['up']>[0]): void {
    const { address, clientId, log, onUp } = this.#options;
    this.#up = true;
    this.#count++;
    log.info(`connected to the MQTT broker ${address}`);
    const { assignedClientIdentifier: assigned = clientId } = properties ?? {};
    if (assigned !== clientId) log.info(`the broker calls this client ${assigned}, not ${clientId}`);
    this.#settled.resolve();
    onUp();
    void this.#listen(session);
    if (this.#count === 1) this.#survey(session);
  }

  async #listen(session: Session): Promise<void> {
    const { filters, log } = this.#options;
    const subscribe = async ({ filter, instead }: (typeof filters)[number]): Promise<string[]> => {
      const filterWorks = instead === undefined || this.terms.wildcards;
      if (filterWorks && (await session.subscribe(filter))) return [];
      if (!instead) return [filter];
      const refused = await Promise.all(instead().map((topic) => subscribe({ filter: topic })));
      return refused.flat();
    };
    const refused = (await Promise.all(filters.map(subscribe))).flat();
    if (refused.length === 0 || session !== this.#session) return;
    log.error(
      { code: 'MQTT_FORBIDDEN', filters: refused, hint: 'Allow it in the access rules of the broker.' },
      'the broker does not let this device listen for commands',
    );
  }

  /** Has the broker send what lies there. It may refuse: nobody depends on it. */
  #survey(session: Session): void {
    const { survey, clock } = this.#options;
    for (const filter of survey) {
      void session.subscribe(filter).then((granted) => {
        if (granted) clock.after(SURVEY, () => session.unsubscribe(filter));
      });
    }
  }

  /** Says, each once, what the broker does not have and what that costs. */
  #sayLimits(): void {
    if (!this.terms.retains) {
      this.#sayLimit(
        'it keeps no retained messages: who subscribes later hears of a state when it changes; Home Assistant is told everything again when it comes back',
      );
    }
    if (this.terms.qos === 0) {
      this.#sayLimit(
        'it takes QoS 0 only: events are sent so, and count as told when the broker has answered a ping after them; a subscriber that is away misses them',
      );
    }
  }

  #sayLimit(text: string): void {
    if (this.#said.has(text)) return;
    this.#said.add(text);
    const hint = 'Another broker, or other settings of this one, can do more: see docs/mqtt.md.';
    this.#options.log.warn({ code: 'MQTT_LIMITED', hint }, `MQTT broker ${this.#options.address}: ${text}`);
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
