import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { recordStage } from '../runtime/stage-times.ts';
import type { WaitingMessage } from '../store/store-types.ts';
import { codeOf } from './failures.ts';
import { markReplayed, smallerEvent } from './payloads.ts';
import { type Message, TooLargeError } from './requests.ts';

/** Where messages wait for the broker; the store is one. */
export interface Outbox {
  /** Up to `limit` messages with an id above `afterId`, in the order of their ids. */
  outbox(afterId: number, limit: number): Promise<WaitingMessage[]>;
  /**
   * All messages up to this id have reached the broker and may be forgotten.
   * @param undeliverable how many of them the broker does not take in any form
   */
  published(upToId: number, undeliverable: number): void;
}

const PAGE = 64;
/** Messages on their way at once. */
const WINDOW = 12;
/** Milliseconds before another attempt when the store cannot be read or the broker refuses a message. */
const RETRY = 10_000;
/** Milliseconds between looks without news: a store that cannot be read for a while answers as if it were empty. */
const LOOK = 60_000;

const FORBIDDEN = {
  code: 'MQTT_FORBIDDEN',
  hint: 'Allow this device to publish below its own topic in the access rules of the broker.',
};

/** Reason codes of MQTT 5 that a message gets again however often it is sent: its topic or what is in it. */
const HOPELESS = ['144', '153'];

interface Flight {
  id: number;
  done: boolean;
}

/** The way to the broker. */
export interface Way {
  publish: (message: Message) => Promise<void>;
  /** Whether a message is too large for it, and by how much; null: it is not. */
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
 * and nothing of an earlier connection is sent again by the protocol because each session is a clean one. After a
 * lost connection sending starts from the first message that is not acknowledged *in a row*, so what the broker sees
 * is 1 2 3 4 | 3 4 5 6: some messages twice, but each one's first appearance in order.
 */
export class OutboxDrain {
  readonly #outbox: Outbox;
  readonly #way: Way;
  readonly #clock: Clock;
  readonly #log: Logger;
  #pass: Pass | null = null;
  /** Every message up to this id is acknowledged. */
  #acknowledged = 0;
  #reported = 0;
  #undeliverable = 0;
  #reporting = false;
  /** What was said of messages that are too large. */
  readonly #said = new Set<string>();
  #news = false;
  #cancelLooks: (() => void) | null = null;
  #idle = false;
  #changed = Promise.withResolvers<void>();
  readonly counters = { published: 0, replayed: 0 };

  constructor(outbox: Outbox, way: Way, clock: Clock, log: Logger) {
    this.#outbox = outbox;
    this.#way = way;
    this.#clock = clock;
    this.#log = log;
  }

  /** Starts to send. */
  connected(): void {
    this.#begin(this.#clock.monotonic(), WINDOW);
    this.#cancelLooks = this.#clock.every(LOOK, () => this.wake());
  }

  /** Stops to send; what is not acknowledged goes out again at the next connection. */
  disconnected(): void {
    this.#cancelLooks?.();
    if (this.#pass) this.#pass.ended = true;
    this.#pass = null;
    this.#change();
  }

  /** There may be new messages. */
  wake(): void {
    this.#news = true;
    this.#idle = false;
    this.#change();
  }

  /** Resolves when every message is acknowledged, or the connection is lost. */
  async idle(): Promise<void> {
    while (this.#pass && !this.#idle) await this.#changed.promise;
  }

  /** Tells the store now what it would otherwise be told soon. */
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
      this.#news = false;
      let rows: WaitingMessage[];
      try {
        rows = await this.#outbox.outbox(after, PAGE);
      } catch (error) {
        this.#retry(pass, {}, `the outbox cannot be read: ${messageOf(error)}`);
        return;
      }
      for (const row of rows) {
        while (!pass.ended && pass.inFlight.length >= pass.window) await this.#changed.promise;
        if (pass.ended) return;
        void this.#send(pass, row);
        after = row.id;
      }
      while (rows.length === 0 && !this.#news && !pass.ended) {
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
    let given = message !== null;
    try {
      if (message) await this.#way.publish(message);
    } catch (error) {
      if (pass.ended) return;
      if (error instanceof TooLargeError) {
        // What the broker takes is known now.
        pass.ended = true;
        this.#begin(pass.connectedAt, 1);
        return;
      }
      if (!HOPELESS.includes(codeOf(error))) {
        this.#retry(pass, FORBIDDEN, `the broker did not take an event for ${topic}: ${messageOf(error)}`);
        return;
      }
      given = false;
      this.#sayOnce('error', `an event for ${topic} is dropped: the broker refuses it: ${messageOf(error)}`);
    }
    recordStage('publish', performance.now() - began);
    if (pass.ended) return;
    flight.done = true;
    if (given) {
      this.counters.published++;
      if (replayed) this.counters.replayed++;
    } else this.#undeliverable++;
    pass.window = WINDOW;
    while (pass.inFlight[0]?.done) this.#acknowledged = pass.inFlight.shift()!.id;
    this.#reportSoon();
    this.#change();
  }

  /** A message as large as the broker takes it; null: it can be made no smaller. */
  #fitting(message: Message & { payload: string }): Message | null {
    const excess = this.#way.excess(message);
    if (!excess) return message;
    const { topic } = message;
    const limit = `the broker takes no more than ${excess.limit} bytes`;
    const payload = smallerEvent(message.payload, excess.room);
    if (payload === null) {
      this.#sayOnce('error', `an event of ${excess.bytes} bytes for ${topic} is dropped: ${limit}`);
      return null;
    }
    this.#sayOnce(
      'warn',
      `events for ${topic} are told without \`reason\` and \`snapshot\` where they must: ${limit}`,
    );
    return { ...message, payload };
  }

  #sayOnce(level: 'warn' | 'error', what: string): void {
    // Sizes differ from event to event.
    const kind = what.replaceAll(/\d+/g, '');
    if (this.#said.has(kind)) return;
    this.#said.add(kind);
    const hint = 'Raise the limit of the broker (mosquitto: max_packet_size).';
    this.#log[level]({ code: 'MQTT_LIMITED', hint }, what);
  }

  /** Starts again later, with one message at a time until the broker takes one. */
  #retry(pass: Pass, details: object, why: string): void {
    if (pass.ended) return;
    pass.ended = true;
    this.#log.error(details, `${why}; next attempt in ${RETRY / 1000} s`);
    this.#clock.after(RETRY, () => {
      if (this.#pass === pass) this.#begin(pass.connectedAt, 1);
    });
    this.#change();
  }

  /** Many acknowledgements arrive at once; the store hears of the last one. */
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
