import type { IClientOptions } from 'mqtt';
import type { Logger } from 'pino';
import { Backoff } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import { BrokerLimits } from './broker-limits.ts';
import { explain, failedBeforeSession } from './failures.ts';
import type { Session, SessionHandlers } from './mqtt-session.ts';
import type { Message, SessionEnd, TooLargeError } from './requests.ts';

/** Where to connect and how. Resolved again for each attempt, so that a replaced password or certificate takes effect. */
export interface Target extends IClientOptions {
  protocol: 'mqtt' | 'mqtts' | 'ws' | 'wss';
  host: string;
}

export interface ConnectionOptions {
  /** The broker's URL for log messages. */
  address: string;
  target: () => Promise<Target>;
  /**
   * The same for every connection: a broker that has not yet noticed that the previous connection is dead then closes
   * it, and publishes its last will, before it accepts the new one.
   */
  clientId: string;
  /** What the broker publishes when this client disappears. */
  will: Message;
  /** Topic filters to subscribe to; for those with wildcards also the topics to use if the broker refuses them. */
  filters: { filter: string; instead?: () => string[] }[];
  /** Topic filters whose retained messages are read once, after the first connection. */
  survey: string[];
  /** Seconds after which a silent connection is probed; after one and a half of that it counts as dead. */
  keepalive: number;
  /** Longest wait for CONNACK, in milliseconds. */
  timeout?: number;
  /** When to load the MQTT client and make the first attempt; undefined: immediately. */
  begin?: Promise<unknown> | undefined;
  clock: Clock;
  log: Logger;
  /** 0…1 */
  random: () => number;
  onUp: () => void;
  onDown: () => void;
  onMessage: (topic: string, payload: Buffer, retained: boolean) => void;
}

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 30_000;
/** A connection that lasted this long (ms) resets the backoff. */
const STABLE = 10_000;
const TIMEOUT = 10_000;
/** Milliseconds to close a session that is replaced immediately. */
const FAREWELL = 1000;
/** Milliseconds in which a broker has sent its retained messages. */
const SURVEY = 5000;

/**
 * Keeps a connection to the broker: one session after another, with a backoff in between. Every session is a clean one:
 * what must not get lost is in the outbox, what is current is in the retained state, and a command that was sent while
 * this device was offline would be obeyed too late.
 */
export class Connection {
  readonly limits = new BrokerLimits();
  readonly #options: ConnectionOptions;
  /** Limits of the broker that have been logged. */
  readonly #logged = new Set<string>();
  #session: Session | null = null;
  /** The session is closing and is replaced immediately. */
  #renewing = false;
  #up = false;
  #begun = false;
  #stopping = false;
  #running: Promise<void> | null = null;
  #wait: PromiseWithResolvers<void> | null = null;
  #settled = Promise.withResolvers<void>();
  #count = 0;
  readonly #backoff: Backoff;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#backoff = new Backoff({
      firstMs: FIRST_RETRY_MS,
      longestMs: LONGEST_RETRY_MS,
      jitter: { from: 1, to: 1.25, random: options.random },
    });
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
    this.#logLimits();
    if (session === this.#session && this.limits.needsRenewal()) {
      this.#renewing = true;
      await session.close(FAREWELL, (ms, callback) => this.#options.clock.after(ms, callback));
    }
  }

  /** See Session.excess. */
  excess(message: Message): TooLargeError | null {
    return this.#session?.excess(message) ?? null;
  }

  /**
   * Resolves when the current attempt to connect has succeeded or failed, or immediately if there is none. Starts the
   * first attempt if it has not started yet.
   */
  async attempted(): Promise<void> {
    if (!this.#begun) this.#wait?.resolve();
    if (!this.#up && (this.#session || !this.#begun)) await this.#settled.promise;
  }

  /** Closes the connection within `ms` and does not reconnect. */
  async stop(ms: number): Promise<void> {
    this.#stopping = true;
    this.#wait?.resolve();
    const { clock } = this.#options;
    if (this.#up) await this.#session?.close(ms, (delay, callback) => clock.after(delay, callback));
    else this.#session?.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { address, clientId, log, clock, begin } = this.#options;
    this.#wait = Promise.withResolvers();
    await Promise.race([begin, this.#wait.promise]);
    // Loading mqtt.js takes as long as loading a model, so it waits until here.
    const { Session } = await import('./mqtt-session.ts');
    let brief = 0;
    while (!this.#stopping) {
      const { end, lasted, version } = await this.#connect(Session);
      if (this.#stopping) return;
      if (this.#renewing) {
        this.#renewing = false;
        continue;
      }
      if (lasted !== null) brief = lasted < STABLE ? brief + 1 : 0;
      if (lasted !== null && lasted >= STABLE) this.#backoff.reset();
      const { text, retryNow } = this.limits.ended(end, version, clock.monotonic());
      if (text !== null) this.#logLimit(text);
      if (retryNow) continue;
      const delay = this.#backoff.next();
      const error = explain(address, end, { clientId, brief });
      const next = `retrying in ${Math.round(delay / 1000)} s`;
      log.warn({ code: error.code, hint: error.hint }, `${error.message}; ${next}`);
      await this.#pause(delay);
    }
  }

  /** One session, from the attempt to its end. `lasted`: milliseconds that it was up; null: it never was. */
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
      if (this.#stopping) return { end: failedBeforeSession(null), lasted: null, version };
      version = target.protocolVersion === 5 ? 5 : 4;
      this.limits.connecting(clock.monotonic());
      const session = new NewSession(
        {
          ...target,
          clientId,
          keepalive,
          connectTimeout: timeout,
          will: { ...will, payload: Buffer.from(will.payload), ...this.limits.will },
        },
        {
          up: (properties) => {
            since = clock.monotonic();
            cancelSettled = clock.after(STABLE, () => {
              this.limits.settled();
              session.relax();
            });
            this.#opened(session, properties);
          },
          message: onMessage,
        },
        this.limits,
        this.limits.oneByOne,
      );
      this.#session = session;
      end = await session.ended;
    } catch (error) {
      end = failedBeforeSession(error);
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
    if (assigned !== clientId)
      log.info(`the broker assigned the client id ${assigned} instead of ${clientId}`);
    this.#settled.resolve();
    onUp();
    void this.#listen(session);
    if (this.#count === 1) this.#survey(session);
  }

  async #listen(session: Session): Promise<void> {
    const { filters, log } = this.#options;
    const subscribe = async ({ filter, instead }: (typeof filters)[number]): Promise<string[]> => {
      const filterWorks = instead === undefined || this.limits.wildcards;
      if (filterWorks && (await session.subscribe(filter))) return [];
      if (!instead) return [filter];
      const refused = await Promise.all(instead().map((topic) => subscribe({ filter: topic })));
      return refused.flat();
    };
    const refused = (await Promise.all(filters.map(subscribe))).flat();
    if (refused.length === 0 || session !== this.#session) return;
    log.error(
      {
        code: 'MQTT_FORBIDDEN',
        filters: refused,
        hint: 'Allow this device to read these topics in the access rules of the broker.',
      },
      'commands do not work: the broker refuses the subscription',
    );
  }

  /** Reads retained messages of this device. A broker that refuses is fine: nothing depends on them. */
  #survey(session: Session): void {
    const { survey, clock } = this.#options;
    for (const filter of survey) {
      void session.subscribe(filter).then((granted) => {
        if (granted) clock.after(SURVEY, () => session.unsubscribe(filter));
      });
    }
  }

  /** Logs, once each, what the broker does not support and what that means. */
  #logLimits(): void {
    if (!this.limits.retains) {
      this.#logLimit(
        'it does not support retained messages: new subscribers see a state only when it changes; Home Assistant gets everything again when it restarts',
      );
    }
    if (this.limits.qos === 0) {
      this.#logLimit(
        'it supports QoS 0 only: an event counts as published when the broker answers the ping that follows it; a subscriber that is offline misses it',
      );
    }
  }

  #logLimit(text: string): void {
    if (this.#logged.has(text)) return;
    this.#logged.add(text);
    const hint = 'Change the settings of the broker or use another one: see docs/mqtt.md.';
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
