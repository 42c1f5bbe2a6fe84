import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { recordStage } from '../runtime/stage-times.ts';
import type { WaitingMessage } from '../store/store-types.ts';
import { codeOf } from './failures.ts';
import { markReplayed, smallerEvent } from './payloads.ts';
import { type Message, TooLargeError } from './requests.ts';

/** Where messages wait for the broker; implemented by the store. */
export interface Outbox {
  /** Up to `limit` messages with an id above `afterId`, in the order of their ids. */
  outbox(afterId: number, limit: number): Promise<WaitingMessage[]>;
  /**
   * All messages up to this id have reached the broker and can be deleted.
   * @param undeliverable how many of them the broker does not accept in any form
   */
  published(upToId: number, undeliverable: number): void;
}

const PAGE = 64;
/** Messages in flight. */
const WINDOW = 12;
/** Milliseconds before another attempt when the store cannot be read or the broker refuses a message. */
const RETRY = 10_000;
/** Milliseconds between polls without a wake-up: a store that is unreadable for a while answers as if it were empty. */
const POLL = 60_000;

const FORBIDDEN = {
  code: 'MQTT_FORBIDDEN',
  hint: 'Allow this device to publish below its own topic in the access rules of the broker.',
};

/** Reason codes of MQTT 5 that a message gets at every attempt, because of its topic or its payload. */
const PERMANENT_REFUSALS = ['144', '153'];

interface Flight {
  id: number;
  done: boolean;
}

/** The broker as the outbox sees it. */
export interface BrokerSink {
  publish: (message: Message) => Promise<void>;
  /** An error with the limit if a message is too large, else null. */
  excess: (message: Message) => TooLargeError | null;
}

/** One pass over the outbox; a lost connection or a refused message ends it. */
interface Pass {
  /** Milliseconds of the clock that never jumps. */
  connectedAt: number;
  window: number;
  inFlight: Flight[];
  ended: boolean;
}

/**
 * Sends the outbox in order, at least once.
 *
 * Why the order holds with several messages in flight: within one connection MQTT delivers in the order of sending,
 * and the protocol resends nothing of an earlier connection because each session is a clean one. After a lost
 * connection sending restarts from the first message that is not acknowledged *in a row*, so the broker sees
 * 1 2 3 4 | 3 4 5 6: some messages twice, but each one's first appearance in order.
 */
export class OutboxDrain {
  readonly #outbox: Outbox;
  readonly #broker: BrokerSink;
  readonly #clock: Clock;
  readonly #log: Logger;
  #pass: Pass | null = null;
  /** Every message up to this id is acknowledged. */
  #acknowledged = 0;
  #reported = 0;
  #undeliverable = 0;
  #reporting = false;
  /** Kinds of messages logged as too large. */
  readonly #logged = new Set<string>();
  #woken = false;
  #cancelPolls: (() => void) | null = null;
  #idle = false;
  #changed = Promise.withResolvers<void>();
  readonly counters = { published: 0, replayed: 0 };

  constructor(outbox: Outbox, broker: BrokerSink, clock: Clock, log: Logger) {
    this.#outbox = outbox;
    this.#broker = broker;
    this.#clock = clock;
    this.#log = log;
  }

  /** Starts sending. */
  connected(): void {
    this.#begin(this.#clock.monotonic(), WINDOW);
    this.#cancelPolls = this.#clock.every(POLL, () => this.wake());
  }

  /** Stops sending; what is not acknowledged is sent again with the next connection. */
  disconnected(): void {
    this.#cancelPolls?.();
    if (this.#pass) this.#pass.ended = true;
    this.#pass = null;
    this.#change();
  }

  /** There may be new messages. */
  wake(): void {
    this.#woken = true;
    this.#idle = false;
    this.#change();
  }

  /** Resolves when every message is acknowledged, or the connection is lost. */
  async idle(): Promise<void> {
    while (this.#pass && !this.#idle) await this.#changed.promise;
  }

  /** Reports acknowledged messages to the store now instead of with the next batch. */
  report(): void {
    if (this.#acknowledged > this.#reported) {
      this.#reported = this.#acknowledged;
      this.#outbox.published(this.#acknowledged, this.#undeliverable);
      this.#undeliverable = 0;
    }
  }

  #begin(connectedAt: number, window: number): void {
    const pass: Pass = { connectedAt, window, inFlight: [], ended: false };
    this.#pass = pass;
    this.#idle = false;
    void this.#drain(pass);
  }

  async #drain(pass: Pass): Promise<void> {
    let after = this.#acknowledged;
    while (!pass.ended) {
      this.#woken = false;
      let rows: WaitingMessage[];
      try {
        rows = await this.#outbox.outbox(after, PAGE);
      } catch (error) {
        this.#retry(pass, {}, `cannot read the outbox: ${messageOf(error)}`);
        return;
      }
      for (const row of rows) {
        while (!pass.ended && pass.inFlight.length >= pass.window) await this.#changed.promise;
        if (pass.ended) return;
        void this.#send(pass, row);
        after = row.id;
      }
      while (rows.length === 0 && !this.#woken && !pass.ended) {
        if (!this.#idle && pass.inFlight.length === 0) {
          this.#idle = true;
          this.#change();
        }
        await this.#changed.promise;
      }
    }
  }

  async #send(pass: Pass, row: WaitingMessage): Promise<void> {
    const flight = { id: row.id, done: false };
    pass.inFlight.push(flight);
    const replayed = row.recordedAt === null || row.recordedAt < pass.connectedAt;
    const { topic, qos, retain } = row;
    const payload = replayed ? markReplayed(row.payload) : row.payload;
    const message = this.#fitting({ topic, payload, qos, retain });
    const began = performance.now();
    let delivered = message !== null;
    try {
      if (message) await this.#broker.publish(message);
    } catch (error) {
      if (pass.ended) return;
      if (error instanceof TooLargeError) {
        // The limit of the broker is known now.
        pass.ended = true;
        this.#begin(pass.connectedAt, 1);
        return;
      }
      if (!PERMANENT_REFUSALS.includes(codeOf(error))) {
        this.#retry(pass, FORBIDDEN, `the broker rejected an event on topic ${topic}: ${messageOf(error)}`);
        return;
      }
      delivered = false;
      this.#logOnce(
        'error',
        `dropped an event on topic ${topic}: the broker refuses it: ${messageOf(error)}`,
      );
    }
    recordStage('publish', performance.now() - began);
    if (pass.ended) return;
    flight.done = true;
    if (delivered) {
      this.counters.published++;
      if (replayed) this.counters.replayed++;
    } else this.#undeliverable++;
    pass.window = WINDOW;
    while (pass.inFlight[0]?.done) this.#acknowledged = pass.inFlight.shift()!.id;
    this.#reportSoon();
    this.#change();
  }

  /** A message that fits the broker's limit; null if it cannot be made small enough. */
  #fitting(message: Message & { payload: string }): Message | null {
    const excess = this.#broker.excess(message);
    if (!excess) return message;
    const { topic } = message;
    const limit = `the broker accepts no more than ${excess.limit} bytes`;
    const payload = smallerEvent(message.payload, excess.room);
    if (payload === null) {
      this.#logOnce('error', `dropped an event of ${excess.bytes} bytes on topic ${topic}: ${limit}`);
      return null;
    }
    this.#logOnce(
      'warn',
      `large events on topic ${topic} are published without \`reason\` and \`snapshot\`: ${limit}`,
    );
    return { ...message, payload };
  }

  #logOnce(level: 'warn' | 'error', what: string): void {
    // Sizes differ between events.
    const kind = what.replaceAll(/\d+/g, '');
    if (this.#logged.has(kind)) return;
    this.#logged.add(kind);
    const hint = 'Raise the limit of the broker (mosquitto: max_packet_size).';
    this.#log[level]({ code: 'MQTT_LIMITED', hint }, what);
  }

  /** Retries later, with one message at a time until the broker accepts one. */
  #retry(pass: Pass, details: object, why: string): void {
    if (pass.ended) return;
    pass.ended = true;
    this.#log.error(details, `${why}; retrying in ${RETRY / 1000} s`);
    this.#clock.after(RETRY, () => {
      if (this.#pass === pass) this.#begin(pass.connectedAt, 1);
    });
    this.#change();
  }

  /** Acknowledgements arrive in bursts; only the last one of a burst is reported. */
  #reportSoon(): void {
    if (this.#reporting) return;
    this.#reporting = true;
    setImmediate(() => {
      this.#reporting = false;
      this.report();
    });
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
