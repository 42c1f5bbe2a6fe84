import { connect as connectTcp } from 'node:net';
import { connect, type IClientOptions, type IConnackPacket, MqttClient } from 'mqtt';
import { messageOf } from '../errors.ts';
import { BrokerLimits } from './broker-limits.ts';
import { Ear, publishBytes } from './packets.ts';
import {
  type Message,
  ProtocolError,
  type Request,
  type SessionEnd,
  type TooLargeError,
} from './requests.ts';

interface Sending extends Request {
  /** Of a QoS 1 message. */
  messageId?: number;
  /** Hands it to mqtt.js. */
  send: () => void;
  resolve: () => void;
  reject: (error: Error) => void;
}

export interface SessionHandlers {
  /** The broker has said yes, and what it is like. */
  up(properties: IConnackPacket['properties']): void;
  message(topic: string, payload: Buffer, retained: boolean): void;
}

/** Errors of mqtt.js without a code that are not about what the broker said. */
const OWN_ERRORS = /^(connack timeout|Keepalive timeout|client disconnecting)$/;

/**
 * One connection to the broker, from its first packet to its last. mqtt.js would reconnect by itself, but resends and
 * reorders while doing so; here each connection is a new client with a clean session, so messages leave in the order
 * in which they are published and nothing of an earlier connection follows them.
 *
 * Of everything that was asked it is known whether it was answered, for a broker of MQTT 3.1.1 ends the connection at
 * what it does not want and gives no reason. A message of QoS 0 has no answer of its own: a ping follows it, and as a
 * broker takes one packet after the other, the answer to that one is the answer to both.
 */
export class Session {
  /** Resolves when the connection is over. */
  readonly ended: Promise<SessionEnd>;
  #end: (end: SessionEnd) => void;
  #client: MqttClient;
  readonly #terms: BrokerLimits;
  readonly #version: 4 | 5;
  readonly #ear = new Ear();
  #up = false;
  #over = false;
  /** One request at a time, so that it is known which one ends the connection. The first goes alone in any case. */
  #oneByOne: boolean;
  #answered = 0;
  /** What the broker said to the attempt to connect, in its own words. */
  #said: string | undefined;
  #waiting: Sending[] = [];
  /** Sent and not answered, oldest first. */
  readonly #open = new Set<Sending>();
  /** QoS 0 messages that no ping has followed yet, and those that each ping on its way has followed. */
  #unfenced: Sending[] = [];
  readonly #pings: Sending[][] = [];

  /** @param oneByOne one request at a time */
  constructor(
    options: IClientOptions,
    handlers: SessionHandlers,
    terms: BrokerLimits = new BrokerLimits(),
    oneByOne = false,
  ) {
    const { promise, resolve } = Promise.withResolvers<SessionEnd>();
    this.ended = promise;
    this.#end = resolve;
    this.#terms = terms;
    this.#oneByOne = oneByOne;
    this.#version = options.protocolVersion === 5 ? 5 : 4;
    const client = openClient({
      ...options,
      clean: true,
      reconnectPeriod: 0,
      queueQoSZero: false,
      // A buffer for each number up to 65535, ready to be sent, would take 7 MB.
      writeCache: false,
      resubscribe: false,
    });
    this.#client = client;
    // Before mqtt.js reads it: it ends the connection at the first byte that it does not like.
    client.stream.prependListener('data', (chunk: Uint8Array) => this.#ear.hear(chunk));
    client.on('connect', ({ properties }) => {
      this.#up = true;
      terms.announced(this.#version, properties);
      handlers.up(properties);
    });
    client.on('message', (topic, payload, { retain }) => handlers.message(topic, payload, retain));
    client.on('packetsend', ({ cmd }) => {
      if (cmd === 'pingreq') this.#pings.push(this.#unfenced.splice(0));
    });
    client.on('packetreceive', (packet) => {
      if (packet.cmd === 'pingresp') this.#fenced();
      else if (packet.cmd === 'connack') this.#said = packet.properties?.reasonString;
    });
    client.on('disconnect', ({ reasonCode, properties }) =>
      this.#finish(
        Object.assign(new Error('the broker ended the connection'), {
          code: reasonCode,
          said: properties?.reasonString,
        }),
      ),
    );
    client.on('error', (error) => this.#finish(this.#understand(error)));
    client.on('close', () => this.#finish(null));
  }

  /**
   * Sends a message as far as the broker takes it; resolves when the broker has it. Rejects when the connection ends
   * before, when the broker refuses the message, or with a TooLargeError.
   */
  publish(message: Message): Promise<void> {
    if (!this.#up || this.#over) return Promise.reject(new Error('no connection to the broker'));
    const { topic, payload } = message;
    const { qos, retain } = this.#terms.manner(message);
    // Where nothing is retained, nothing can be emptied.
    if (message.retain && !retain && payload.length === 0) return Promise.resolve();
    const excess = this.excess(message);
    if (excess) return Promise.reject(excess);
    if (this.#terms.isBanned(topic)) return Promise.reject(new Error('it ends the connection at it'));
    const bytes = this.#bytesOf(message);
    const body = typeof payload === 'string' ? payload : asBuffer(payload);
    return this.#ask({ topic, message, qos, retain, bytes }, (sending) => {
      if (qos === 0) {
        this.#unfenced.push(sending);
        this.#client.publish(topic, body, { qos, retain });
        if (this.#pings.length === 0) this.#client.sendPing();
        return;
      }
      this.#client.publish(topic, body, { qos, retain }, (error) => this.#settle(sending, error ?? null));
      sending.messageId = this.#client.getLastMessageId();
    });
  }

  /** Whether a message is too large for the broker; null: it is not, as far as that is known. */
  excess(message: Message): TooLargeError | null {
    return this.#terms.excess(message, this.#bytesOf(message));
  }

  /** Asks for messages. Resolves with whether the broker grants it; false too when the connection ends before. */
  subscribe(filter: string): Promise<boolean> {
    if (!this.#up || this.#over || this.#terms.isDenied(filter)) return Promise.resolve(false);
    const request = { topic: filter, message: null, qos: 1, retain: false, bytes: 0 } as const;
    const granted = this.#ask(request, (sending) => {
      this.#client.subscribe(filter, { qos: 1 }, (error) => this.#settle(sending, error ?? null));
    });
    return granted.then(
      () => true,
      () => false,
    );
  }

  /** Asks for no more of them. */
  unsubscribe(filter: string): void {
    if (!this.#over) this.#client.unsubscribe(filter, () => {});
  }

  /** Sends several requests at a time from now on. */
  relax(): void {
    this.#oneByOne = false;
    this.#fill();
  }

  /** Says goodbye, which makes the broker drop the last will, and closes; after `ms` without an answer, by force. */
  async close(ms: number, after: (ms: number, callback: () => void) => () => void): Promise<void> {
    const cancel = after(ms, () => this.abort());
    this.#client.end(false, {}, () => this.#finish(null));
    await this.ended;
    cancel();
  }

  /** Closes at once, without goodbye. */
  abort(): void {
    this.#finish(null);
  }

  #bytesOf(message: Message): number {
    const { topic, payload } = message;
    return publishBytes({ topic, payload, qos: this.#terms.manner(message).qos }, this.#version);
  }

  #ask(request: Request, send: (sending: Sending) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const sending: Sending = { ...request, resolve, reject, send: () => send(sending) };
      this.#waiting.push(sending);
      this.#fill();
    });
  }

  #fill(): void {
    while (this.#waiting.length > 0 && !this.#over && this.#open.size < this.#window) {
      const next = this.#waiting.shift()!;
      this.#open.add(next);
      next.send();
    }
  }

  get #window(): number {
    return this.#oneByOne || this.#answered === 0 ? 1 : this.#terms.window;
  }

  #settle(sending: Sending, error: Error | null): void {
    // What mqtt.js says of requests that are open when the connection ends; that they were is told at the end.
    if (this.#over || error?.message === 'Connection closed' || !this.#open.delete(sending)) return;
    if (error) sending.reject(this.#terms.refused(sending, error));
    else {
      this.#terms.taken(sending);
      sending.resolve();
    }
    this.#answered++;
    this.#fill();
  }

  /** A ping was answered, and so was all that went before it. */
  #fenced(): void {
    for (const sending of this.#pings.shift() ?? []) this.#settle(sending, null);
    if (this.#unfenced.length > 0 && this.#pings.length === 0 && !this.#over) this.#client.sendPing();
  }

  #understand(error: unknown): unknown {
    const coded = typeof error === 'object' && error !== null && 'code' in error;
    if (coded) return this.#up ? error : Object.assign(error, { said: this.#said });
    if (OWN_ERRORS.test(messageOf(error))) return error;
    const heard = this.#ear.about(messageOf(error));
    const about = heard && [...this.#open].find(({ messageId }) => messageId === heard.messageId);
    return new ProtocolError(error, heard, about ?? null);
  }

  #finish(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const open = [...this.#open];
    this.#end({ reason, up: this.#up, open, answered: this.#answered });
    this.#client.end(true);
    this.#client.stream.destroy();
    const lost = new Error('the connection to the broker was lost');
    for (const { reject } of [...open, ...this.#waiting]) reject(lost);
    this.#open.clear();
    this.#waiting = [];
  }
}

/**
 * What mqtt.js does to connect brings TLS, HTTP and WebSockets along, 10 MB of memory: a plain connection does without.
 */
function openClient(options: IClientOptions): MqttClient {
  const { protocol, host = 'localhost', port = 1883, cert } = options;
  if (protocol !== 'mqtt' || cert !== undefined) return connect(options);
  return new MqttClient(() => connectTcp({ host, port }), options);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
