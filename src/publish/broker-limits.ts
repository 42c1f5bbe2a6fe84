/**
 * What a broker takes. One of MQTT 5 says so when it accepts the connection. One of MQTT 3.1.1 just ends it at what it
 * does not want, so the last will, the flags of messages and their sizes are tried in turn:
 *
 *   it ends the connection …                       then
 *   before it has accepted it                      the next attempt is made at once, with a plain last will
 *   at the first message with the retain flag      without the flag, then with QoS 0, then without both
 *     or QoS 1 that it was ever sent
 *   at a message larger than all that it took      that size is too large
 *   at a topic, again and again                    nothing is sent there
 *
 * Nothing is concluded from one case: connections end for other reasons, too. A last will with flags that it refused is
 * a case against these flags. After a day all of this is tried again.
 */
import type { IConnackPacket } from 'mqtt';
import { codeOf } from './failures.ts';
import { type Message, ProtocolError, type Request, type SessionEnd, TooLargeError } from './requests.ts';

/** QoS 1 messages on their way at once; brokers that name a limit of their own (mosquitto: 20) get no more than that. */
const MOST_IN_FLIGHT = 16;

/** So many connections in a row must end at the same request. Events may not get lost, so more is wanted for them. */
const STRIKES = 2;
const STRIKES_OF_EVENT = 3;

const FORGET_MS = 86_400_000;

/** Reason codes of MQTT 5. */
const PACKET_TOO_LARGE = '149';
const RECEIVE_MAXIMUM_EXCEEDED = '147';
const RETAIN_NOT_SUPPORTED = '154';
const QOS_NOT_SUPPORTED = '155';
/** Reasons to end a connection that say no more than that the broker did not like something. */
const VAGUE = ['', 'ECONNRESET', 'EPIPE', '128', '129', '130', '131'];

/** How messages are sent. */
interface Manner {
  qos: 0 | 1;
  retain: boolean;
}

const FULL: Manner = { qos: 1, retain: true };
const PLAIN: Manner = { qos: 0, retain: false };
/** What is tried in turn with a broker that gives no reason. */
const LADDER: readonly Manner[] = [FULL, { qos: 1, retain: false }, { qos: 0, retain: true }, PLAIN];

/** What an ended session has taught. */
export interface Lesson {
  /** What the broker does not take, in words for the log; null: nothing was learnt. */
  text: string | null;
  /** The next attempt will be a different one, and should be made at once. */
  again: boolean;
}

const NOTHING: Lesson = { text: null, again: false };

export class BrokerLimits {
  /** QoS 1 messages that may be on their way at once. */
  window = MOST_IN_FLIGHT;
  /** Whether topic filters may have wildcards. */
  wildcards = true;
  /** Of the whole packet, as the broker says. */
  #announcedLargest = Number.POSITIVE_INFINITY;
  /** The broker has said itself what it takes. */
  #isAnnounced = false;
  #announced = FULL;
  /** It took a last will with all flags. */
  #willWorks = false;
  /** Learnt from connections that were ended; taken back after a day. */
  #learnt = FULL;
  #refusedBytes = Number.POSITIVE_INFINITY;
  #banned = new Set<string>();
  #denied = new Set<string>();
  #rung = 0;
  #plainWill: 'no' | 'tried' | 'for good' = 'no';
  #willRenewed = false;
  #learntAt: number | null = null;
  /** What the broker has taken. */
  #taken = { bytes: 0, qos1: false, retained: false };
  /** The request at which connections ended, and how many in a row. */
  #strikes = { at: '', count: 0 };
  #careful = false;

  /** Before an attempt to connect. @param now monotonic milliseconds */
  connecting(now: number): void {
    if (this.#learntAt === null || now - this.#learntAt < FORGET_MS) return;
    this.#learntAt = null;
    this.#refusedBytes = Number.POSITIVE_INFINITY;
    this.#banned.clear();
    this.#denied.clear();
    this.#learnt = FULL;
    this.#rung = 0;
    this.#plainWill = 'no';
    this.#willRenewed = false;
  }

  /** How the last will is given. */
  get will(): Manner {
    return this.#plainWill === 'no' ? this.#manner : PLAIN;
  }

  /** Requests should be made one at a time, to see which one ends the connection. */
  get careful(): boolean {
    return this.#careful;
  }

  get #manner(): Manner {
    const [a, b] = [this.#announced, this.#learnt];
    return { qos: a.qos === 0 ? 0 : b.qos, retain: a.retain && b.retain };
  }

  get retains(): boolean {
    return this.#manner.retain;
  }

  get qos(): 0 | 1 {
    return this.#manner.qos;
  }

  /** Largest packet; Infinity: it is not known. */
  get largest(): number {
    return Math.min(this.#announcedLargest, this.#refusedBytes - 1);
  }

  /** The broker has accepted a connection and said what it takes. */
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

  /** How a message is sent. */
  manner({ qos, retain }: Message): Manner {
    const manner = this.#manner;
    return { qos: qos === 0 ? 0 : manner.qos, retain: retain && manner.retain };
  }

  /** Whether a message is too large; null: it is not. @param bytes of the whole packet */
  excess(message: Message, bytes: number): TooLargeError | null {
    // What can be made smaller need not find out how close it may come to a size that was refused.
    const guess = Math.max(this.#taken.bytes, Math.floor(this.#refusedBytes / 2));
    const limit = message.smaller ? Math.min(this.#announcedLargest, guess) : this.largest;
    return bytes > limit ? new TooLargeError(message, bytes, limit) : null;
  }

  /** Whether the broker ends the connection at each message for a topic. */
  isBanned(topic: string): boolean {
    return this.#banned.has(topic);
  }

  /** Whether the broker ends the connection when it is asked for a topic filter. */
  isDenied(filter: string): boolean {
    return this.#denied.has(filter);
  }

  /** The broker has taken what was asked. */
  taken(request: Request): void {
    if (this.#strikes.at === identityOf(request)) this.#strikes = { at: '', count: 0 };
    const { qos, retain, bytes, message } = request;
    if (message === null) return;
    this.#taken.bytes = Math.max(this.#taken.bytes, bytes);
    this.#taken.qos1 ||= qos === 1;
    this.#taken.retained ||= retain;
  }

  /** The broker has refused what was asked. Returns why, in our words where it was the size. */
  refused({ message, bytes }: Request, error: Error): Error {
    if (message === null || codeOf(error) !== PACKET_TOO_LARGE) return error;
    this.#refusedBytes = Math.min(this.#refusedBytes, bytes);
    return new TooLargeError(message, bytes, this.largest);
  }

  /**
   * Whether the connection should be made again: the last will was given plainly to please a broker that, as it turns
   * out, retains messages. True at most once.
   */
  wantsRenewal(): boolean {
    if (this.#plainWill !== 'tried' || this.#willRenewed || !this.#taken.retained) return false;
    this.#plainWill = 'no';
    this.#willRenewed = true;
    return true;
  }

  /** The session has held for a while. */
  settled(): void {
    this.#careful = false;
  }

  /**
   * Draws the conclusions from a session that has ended.
   * @param version of MQTT
   * @param now monotonic milliseconds
   */
  ended({ reason, up, open }: SessionEnd, version: 4 | 5, now: number): Lesson {
    const code = codeOf(reason);
    const learn = (text: string): Lesson => {
      this.#learntAt ??= now;
      this.#strikes = { at: '', count: 0 };
      return { text, again: true };
    };
    if (code === RETAIN_NOT_SUPPORTED && this.#manner.retain) {
      this.#learnt = { ...this.#learnt, retain: false };
      return learn('it takes no retained messages');
    }
    if (code === QOS_NOT_SUPPORTED && this.#manner.qos === 1) {
      this.#learnt = { ...this.#learnt, qos: 0 };
      return learn('it takes QoS 0 only');
    }
    if (code === RECEIVE_MAXIMUM_EXCEEDED && this.window > 1) {
      this.window = Math.floor(this.window / 2);
      return learn(`it takes fewer than ${this.window * 2} messages at once`);
    }
    const messages = open.filter(({ message }) => message !== null);
    if (code === PACKET_TOO_LARGE && messages.length > 0) {
      return learn(this.#tooLarge(messages.reduce((a, b) => (a.bytes > b.bytes ? a : b))));
    }
    if (reason instanceof ProtocolError && reason.about) {
      if (reason.heard?.reasonCode === Number(PACKET_TOO_LARGE)) return learn(this.#tooLarge(reason.about));
      return this.#suspect(reason.about, learn);
    }
    if (!VAGUE.includes(code) || (reason !== null && code === '')) return NOTHING;
    if (!up) {
      if (version === 5 || this.#willWorks) return NOTHING;
      this.#changeWill();
      return { text: null, again: this.#plainWill === 'tried' };
    }
    if (open.length === 0) return NOTHING;
    const larger = open.filter(({ bytes }) => bytes > this.#taken.bytes);
    const [first, ...more] = open.length === 1 || !this.#knowsFlags ? open : larger;
    if (first && more.length === 0) return this.#suspect(first, learn);
    this.#careful = true;
    return NOTHING;
  }

  get #knowsFlags(): boolean {
    return this.#isAnnounced || (this.#taken.qos1 && this.#taken.retained) || this.#rung > 0;
  }

  /** A connection has ended at this request, by all that is known. */
  #suspect(request: Request, learn: (text: string) => Lesson): Lesson {
    const { topic, message, bytes, qos, retain } = request;
    const at = identityOf(request);
    const strikes = this.#strikes.at === at ? this.#strikes.count + 1 : 1;
    this.#strikes = { at, count: strikes };
    this.#careful = true;
    if (message === null) {
      if (strikes < STRIKES) return NOTHING;
      this.#denied.add(topic);
      return learn(`it ends the connection when it is asked for ${topic}`);
    }
    const isNew =
      this.#taken.bytes === 0 || (qos === 1 && !this.#taken.qos1) || (retain && !this.#taken.retained);
    if (isNew && !this.#isAnnounced) {
      const isFirst = strikes < STRIKES && this.#plainWill !== 'tried';
      if (this.#rung === LADDER.length || (this.#rung === 0 && isFirst)) return NOTHING;
      this.#rung++;
      // When all were tried it is not the flags: somebody may correct the access rules.
      this.#learnt = LADDER[this.#rung] ?? FULL;
      return this.#rung === LADDER.length
        ? NOTHING
        : learn(
            `it ends the connection at the first message, for ${topic}: Lookout tries to send it without the retain flag, and with QoS 0`,
          );
    }
    const isEvent = isEventMessage(message);
    if (this.#taken.bytes === 0 || strikes < (isEvent ? STRIKES_OF_EVENT : STRIKES)) return NOTHING;
    if (bytes > this.#taken.bytes) return learn(this.#tooLarge(request));
    // Somebody may correct the access rules; until then events wait.
    if (isEvent) return NOTHING;
    this.#banned.add(topic);
    return learn(`it ends the connection at each message for ${topic}`);
  }

  #tooLarge({ topic, bytes }: Request): string {
    this.#refusedBytes = Math.min(this.#refusedBytes, bytes);
    return `it ends the connection at the ${bytes} bytes for ${topic}, which are too large for it`;
  }

  /** The broker may dislike the last will, and gives no reason. */
  #changeWill(): void {
    if (this.#plainWill === 'tried') this.#plainWill = 'no';
    else if (this.#plainWill === 'no') this.#plainWill = this.#willRenewed ? 'for good' : 'tried';
  }
}

function isEventMessage({ qos, retain }: Message): boolean {
  return qos === 1 && !retain;
}

/** What makes a request the same one: of states and pictures the latest is sent, events are each a message of its own. */
function identityOf({ topic, message, bytes }: Request): string {
  return message && isEventMessage(message) ? `${topic} ${bytes}` : topic;
}
