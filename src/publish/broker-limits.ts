/**
 * What a broker accepts. An MQTT 5 broker announces it in CONNACK. An MQTT 3.1.1 broker just closes the connection when
 * it gets something it does not accept, so the last will, the flags of messages and their sizes are tried in turn:
 *
 *   the broker closes the connection …             then
 *   before it has accepted it                      retry immediately, with a plain last will
 *   at the first message ever sent with the        without the flag, then with QoS 0, then without both
 *     retain flag or QoS 1
 *   at a message larger than any it accepted       treat that size as too large
 *   at the same topic repeatedly                   publish nothing there
 *
 * One occurrence proves nothing, because connections end for other reasons, too. A last will that was refused counts as
 * one occurrence against its flags. Everything learnt is tried again after a day.
 */
import type { IConnackPacket } from 'mqtt';
import { codeOf } from './failures.ts';
import { type Message, ProtocolError, type Request, type SessionEnd, TooLargeError } from './requests.ts';

/** QoS 1 messages in flight; a broker that announces a lower limit (mosquitto: 20) gets no more than that. */
const MOST_IN_FLIGHT = 16;

/** How many connections in a row must end at the same request. Events must not get lost, so they need more. */
const STRIKES = 2;
const STRIKES_OF_EVENT = 3;

const FORGET_MS = 86_400_000;

/** Reason codes of MQTT 5. */
const PACKET_TOO_LARGE = '149';
const RECEIVE_MAXIMUM_EXCEEDED = '147';
const RETAIN_NOT_SUPPORTED = '154';
const QOS_NOT_SUPPORTED = '155';
/** Reasons to end a connection that do not say what the broker refused. */
const VAGUE = ['', 'ECONNRESET', 'EPIPE', '128', '129', '130', '131'];

/** How messages are sent. */
interface Delivery {
  qos: 0 | 1;
  retain: boolean;
}

const FULL: Delivery = { qos: 1, retain: true };
const PLAIN: Delivery = { qos: 0, retain: false };
/** Tried in turn with a broker that gives no reason. */
const FALLBACKS: readonly Delivery[] = [FULL, { qos: 1, retain: false }, { qos: 0, retain: true }, PLAIN];

/** What the end of a session shows about the broker. */
export interface Conclusion {
  /** What the broker does not accept, for the log; null: nothing was learnt. */
  text: string | null;
  /** The next attempt differs from this one, so it needs no backoff. */
  retryNow: boolean;
}

const NOTHING: Conclusion = { text: null, retryNow: false };

export class BrokerLimits {
  /** QoS 1 messages that may be in flight. */
  window = MOST_IN_FLIGHT;
  /** Whether topic filters may have wildcards. */
  wildcards = true;
  /** Largest packet that the broker announced, in bytes. */
  #announcedLargest = Number.POSITIVE_INFINITY;
  /** The broker has announced its limits (MQTT 5). */
  #isAnnounced = false;
  #announced = FULL;
  /** It accepted a last will with all flags. */
  #willWorks = false;
  /** Learnt from connections that the broker closed; forgotten after a day. */
  #learnt = FULL;
  #refusedBytes = Number.POSITIVE_INFINITY;
  #banned = new Set<string>();
  #denied = new Set<string>();
  #fallback = 0;
  #plainWill: 'no' | 'tried' | 'for good' = 'no';
  #willRenewed = false;
  #learntAt: number | null = null;
  /** The most that the broker has accepted. */
  #accepted = { bytes: 0, qos1: false, retained: false };
  /** The request at which connections ended, and how many in a row. */
  #strikes = { at: '', count: 0 };
  #oneByOne = false;

  /** Call before an attempt to connect. @param now monotonic milliseconds */
  connecting(now: number): void {
    if (this.#learntAt === null || now - this.#learntAt < FORGET_MS) return;
    this.#learntAt = null;
    this.#refusedBytes = Number.POSITIVE_INFINITY;
    this.#banned.clear();
    this.#denied.clear();
    this.#learnt = FULL;
    this.#fallback = 0;
    this.#plainWill = 'no';
    this.#willRenewed = false;
  }

  get will(): Delivery {
    return this.#plainWill === 'no' ? this.#delivery : PLAIN;
  }

  /** Whether to send one request at a time, to see which one ends the connection. */
  get oneByOne(): boolean {
    return this.#oneByOne;
  }

  get #delivery(): Delivery {
    const [a, b] = [this.#announced, this.#learnt];
    return { qos: a.qos === 0 ? 0 : b.qos, retain: a.retain && b.retain };
  }

  get retains(): boolean {
    return this.#delivery.retain;
  }

  get qos(): 0 | 1 {
    return this.#delivery.qos;
  }

  /** Largest packet in bytes; Infinity: unknown. */
  get largest(): number {
    return Math.min(this.#announcedLargest, this.#refusedBytes - 1);
  }

  /** The broker has accepted a connection; an MQTT 5 broker announces its limits with it. */
  announced(version: 4 | 5, properties: IConnackPacket['properties'] = {}): void {
    this.#willWorks ||= this.#plainWill === 'no';
    if (version !== 5) return;
    this.#isAnnounced = true;
    this.#announced = {
      qos: properties.maximumQoS === 0 ? 0 : 1,
      retain: properties.retainAvailable ?? true,
    };
    this.#announcedLargest = properties.maximumPacketSize ?? Number.POSITIVE_INFINITY;
    this.window = Math.min(MOST_IN_FLIGHT, properties.receiveMaximum ?? MOST_IN_FLIGHT);
    this.wildcards = properties.wildcardSubscriptionAvailable ?? true;
  }

  /** The flags with which a message is sent. */
  delivery({ qos, retain }: Message): Delivery {
    const delivery = this.#delivery;
    return { qos: qos === 0 ? 0 : delivery.qos, retain: retain && delivery.retain };
  }

  /** An error if a message is too large, else null. @param bytes of the whole packet */
  excess(message: Message, bytes: number): TooLargeError | null {
    // A message that can shrink need not probe how close it may come to a size that was refused.
    const guess = Math.max(this.#accepted.bytes, Math.floor(this.#refusedBytes / 2));
    const limit = message.smaller ? Math.min(this.#announcedLargest, guess) : this.largest;
    return bytes > limit ? new TooLargeError(message, bytes, limit) : null;
  }

  /** Whether the broker closes the connection at each message on this topic. */
  isBanned(topic: string): boolean {
    return this.#banned.has(topic);
  }

  /** Whether the broker closes the connection when a client subscribes to this filter. */
  isDenied(filter: string): boolean {
    return this.#denied.has(filter);
  }

  /** The broker has accepted a request. */
  accepted(request: Request): void {
    if (this.#strikes.at === identityOf(request)) this.#strikes = { at: '', count: 0 };
    const { qos, retain, bytes, message } = request;
    if (message === null) return;
    this.#accepted.bytes = Math.max(this.#accepted.bytes, bytes);
    this.#accepted.qos1 ||= qos === 1;
    this.#accepted.retained ||= retain;
  }

  /** The broker has refused a request. Returns why: a TooLargeError if it was the size, else the error unchanged. */
  refused({ message, bytes }: Request, error: Error): Error {
    if (message === null || codeOf(error) !== PACKET_TOO_LARGE) return error;
    this.#refusedBytes = Math.min(this.#refusedBytes, bytes);
    return new TooLargeError(message, bytes, this.largest);
  }

  /**
   * Whether to reconnect because the last will was sent without flags, and the broker turned out to retain messages.
   * True at most once.
   */
  needsRenewal(): boolean {
    if (this.#plainWill !== 'tried' || this.#willRenewed || !this.#accepted.retained) return false;
    this.#plainWill = 'no';
    this.#willRenewed = true;
    return true;
  }

  /** The session has been up for a while. */
  settled(): void {
    this.#oneByOne = false;
  }

  /**
   * Learns from a session that has ended.
   * @param version of MQTT
   * @param now monotonic milliseconds
   */
  ended({ reason, up, open }: SessionEnd, version: 4 | 5, now: number): Conclusion {
    const code = codeOf(reason);
    const learn = (text: string): Conclusion => {
      this.#learntAt ??= now;
      this.#strikes = { at: '', count: 0 };
      return { text, retryNow: true };
    };
    if (code === RETAIN_NOT_SUPPORTED && this.#delivery.retain) {
      this.#learnt = { ...this.#learnt, retain: false };
      return learn('it does not support retained messages');
    }
    if (code === QOS_NOT_SUPPORTED && this.#delivery.qos === 1) {
      this.#learnt = { ...this.#learnt, qos: 0 };
      return learn('it supports QoS 0 only');
    }
    if (code === RECEIVE_MAXIMUM_EXCEEDED && this.window > 1) {
      this.window = Math.floor(this.window / 2);
      return learn(`it accepts fewer than ${this.window * 2} messages in flight`);
    }
    const messages = open.filter(({ message }) => message !== null);
    if (code === PACKET_TOO_LARGE && messages.length > 0) {
      return learn(this.#tooLarge(messages.reduce((a, b) => (a.bytes > b.bytes ? a : b))));
    }
    if (reason instanceof ProtocolError && reason.request) {
      if (reason.packet?.reasonCode === Number(PACKET_TOO_LARGE))
        return learn(this.#tooLarge(reason.request));
      return this.#suspect(reason.request, learn);
    }
    if (!VAGUE.includes(code) || (reason !== null && code === '')) return NOTHING;
    if (!up) {
      if (version === 5 || this.#willWorks) return NOTHING;
      this.#changeWill();
      return { text: null, retryNow: this.#plainWill === 'tried' };
    }
    if (open.length === 0) return NOTHING;
    const larger = open.filter(({ bytes }) => bytes > this.#accepted.bytes);
    const [first, ...more] = open.length === 1 || !this.#knowsFlags ? open : larger;
    if (first && more.length === 0) return this.#suspect(first, learn);
    this.#oneByOne = true;
    return NOTHING;
  }

  get #knowsFlags(): boolean {
    return this.#isAnnounced || (this.#accepted.qos1 && this.#accepted.retained) || this.#fallback > 0;
  }

  /** As far as is known, this request made the broker close the connection. */
  #suspect(request: Request, learn: (text: string) => Conclusion): Conclusion {
    const { topic, message, bytes, qos, retain } = request;
    const at = identityOf(request);
    const strikes = this.#strikes.at === at ? this.#strikes.count + 1 : 1;
    this.#strikes = { at, count: strikes };
    this.#oneByOne = true;
    if (message === null) {
      if (strikes < STRIKES) return NOTHING;
      this.#denied.add(topic);
      return learn(`it closes the connection when this device subscribes to ${topic}`);
    }
    const isNew =
      this.#accepted.bytes === 0 ||
      (qos === 1 && !this.#accepted.qos1) ||
      (retain && !this.#accepted.retained);
    if (isNew && !this.#isAnnounced) {
      const isFirst = strikes < STRIKES && this.#plainWill !== 'tried';
      if (this.#fallback === FALLBACKS.length || (this.#fallback === 0 && isFirst)) return NOTHING;
      this.#fallback++;
      // After all of them it is not the flags but perhaps the access rules, which the user may correct.
      this.#learnt = FALLBACKS[this.#fallback] ?? FULL;
      return this.#fallback === FALLBACKS.length
        ? NOTHING
        : learn(
            `it closes the connection at the first message, on ${topic}; trying without the retain flag and with QoS 0`,
          );
    }
    const isEvent = isEventMessage(message);
    if (this.#accepted.bytes === 0 || strikes < (isEvent ? STRIKES_OF_EVENT : STRIKES)) return NOTHING;
    if (bytes > this.#accepted.bytes) return learn(this.#tooLarge(request));
    // Events wait in the outbox until the user corrects the access rules.
    if (isEvent) return NOTHING;
    this.#banned.add(topic);
    return learn(`it closes the connection at each message on ${topic}; nothing is published there`);
  }

  #tooLarge({ topic, bytes }: Request): string {
    this.#refusedBytes = Math.min(this.#refusedBytes, bytes);
    return `it closes the connection at a message of ${bytes} bytes on ${topic}, which is too large for it`;
  }

  /** The broker refused the connection without a reason, perhaps because of the last will. */
  #changeWill(): void {
    if (this.#plainWill === 'tried') this.#plainWill = 'no';
    else if (this.#plainWill === 'no') this.#plainWill = this.#willRenewed ? 'for good' : 'tried';
  }
}

function isEventMessage({ qos, retain }: Message): boolean {
  return qos === 1 && !retain;
}

/** Identifies a request across connections: states and snapshots by topic, as only the latest is sent; events also by size. */
function identityOf({ topic, message, bytes }: Request): string {
  return message && isEventMessage(message) ? `${topic} ${bytes}` : topic;
}
