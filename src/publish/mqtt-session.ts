import { connect as connectTcp } from 'node:net';
import { connect, type IClientOptions, type IConnackPacket, MqttClient } from 'mqtt';
import { messageOf } from '../errors.ts';
import { BrokerLimits } from './broker-limits.ts';
import { PacketRecorder, publishBytes } from './packets.ts';
import {
  type Message,
  ProtocolError,
  type Request,
  type SessionEnd,
  type TooLargeError,
} from './requests.ts';

interface Sending extends Request {
  /** Set for a QoS 1 message. */
  messageId?: number;
  send: () => void;
  resolve: () => void;
  reject: (error: Error) => void;
}

export interface SessionHandlers {
  /** The broker has accepted the connection. @param properties of CONNACK, which announce its limits */
  up(properties: IConnackPacket['properties']): void;
  message(topic: string, payload: Buffer, retained: boolean): void;
}

/** Errors of mqtt.js without a code that are not about a packet of the broker. */
const OWN_ERRORS = /^(connack timeout|Keepalive timeout|client disconnecting)$/;

/**
 * One connection to the broker, from its first packet to its last. mqtt.js would reconnect automatically, but resends
 * and reorders messages then. Here each connection is a new client with a clean session, so messages leave in the order
 * in which they are published and nothing of an earlier connection follows them.
 *
 * The session knows which requests the broker has answered, because an MQTT 3.1.1 broker closes the connection without
 * a reason when it refuses one. A QoS 0 message has no answer of its own: a ping follows it, and as a broker handles
 * packets in order, the answer to the ping is the answer to both.
 */
export class Session {
  /** Resolves when the connection is over. */
  readonly ended: Promise<SessionEnd>;
  #end: (end: SessionEnd) => void;
  #client: MqttClient;
  readonly #limits: BrokerLimits;
  readonly #version: 4 | 5;
  readonly #received = new PacketRecorder();
  #up = false;
  #over = false;
  /** Sends one request at a time, to know which one ends the connection. The first is always sent alone. */
  #oneByOne: boolean;
  #answered = 0;
  /** The reason string of CONNACK. */
  #reasonString: string | undefined;
  #waiting: Sending[] = [];
  /** Sent and not answered, oldest first. */
  readonly #open = new Set<Sending>();
  /** QoS 0 messages that no ping has followed yet, and those covered by each ping in flight. */
  #unfenced: Sending[] = [];
  readonly #pings: Sending[][] = [];

  /** @param oneByOne send one request at a time */
  constructor(
    options: IClientOptions,
    handlers: SessionHandlers,
    limits: BrokerLimits = new BrokerLimits(),
    oneByOne = false,
  ) {
    const { promise, resolve } = Promise.withResolvers<SessionEnd>();
    this.ended = promise;
    this.#end = resolve;
    this.#limits = limits;
    this.#oneByOne = oneByOne;
    this.#version = options.protocolVersion === 5 ? 5 : 4;
    const client = openClient({
      ...options,
      clean: true,
      reconnectPeriod: 0,
      queueQoSZero: false,
      // The cache holds a buffer for each number up to 65535, which takes 7 MB.
      writeCache: false,
      resubscribe: false,
    });
    this.#client = client;
    // Before mqtt.js, which closes the connection at the first byte that it cannot parse.
    client.stream.prependListener('data', (chunk: Uint8Array) => this.#received.add(chunk));
    client.on('connect', ({ properties }) => {
      this.#up = true;
      limits.announced(this.#version, properties);
      handlers.up(properties);
    });
    client.on('message', (topic, payload, { retain }) => handlers.message(topic, payload, retain));
    client.on('packetsend', ({ cmd }) => {
      if (cmd === 'pingreq') this.#pings.push(this.#unfenced.splice(0));
    });
    client.on('packetreceive', (packet) => {
      if (packet.cmd === 'pingresp') this.#fenced();
      else if (packet.cmd === 'connack') this.#reasonString = packet.properties?.reasonString;
    });
    client.on('disconnect', ({ reasonCode, properties }) =>
      this.#finish(
        Object.assign(new Error('the broker closed the connection'), {
          code: reasonCode,
          reasonString: properties?.reasonString,
        }),
      ),
    );
    client.on('error', (error) => this.#finish(this.#understand(error)));
    client.on('close', () => this.#finish(null));
  }

  /**
   * Sends a message with the flags that the broker accepts; resolves when the broker has acknowledged it. Rejects if
   * the connection ends first, if the broker refuses the message, or with a TooLargeError.
   */
  publish(message: Message): Promise<void> {
    if (!this.#up || this.#over) return Promise.reject(new Error('no connection to the broker'));
    const { topic, payload } = message;
    const { qos, retain } = this.#limits.delivery(message);
    // A broker that retains nothing has nothing to clear.
    if (message.retain && !retain && payload.length === 0) return Promise.resolve();
    const excess = this.excess(message);
    if (excess) return Promise.reject(excess);
    if (this.#limits.isBanned(topic))
      return Promise.reject(new Error('the broker closes the connection at this topic'));
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

  /** An error if a message is too large for the broker; null if it is not, as far as known. */
  excess(message: Message): TooLargeError | null {
    return this.#limits.excess(message, this.#bytesOf(message));
  }

  /** Subscribes. Resolves with whether the broker grants it; false if the connection ends first. */
  subscribe(filter: string): Promise<boolean> {
    if (!this.#up || this.#over || this.#limits.isDenied(filter)) return Promise.resolve(false);
    const request = { topic: filter, message: null, qos: 1, retain: false, bytes: 0 } as const;
    const granted = this.#ask(request, (sending) => {
      this.#client.subscribe(filter, { qos: 1 }, (error) => this.#settle(sending, error ?? null));
    });
    return granted.then(
      () => true,
      () => false,
    );
  }

  unsubscribe(filter: string): void {
    if (!this.#over) this.#client.unsubscribe(filter, () => {});
  }

  /** Allows several requests in flight from now on. */
  relax(): void {
    this.#oneByOne = false;
    this.#fill();
  }

  /** Sends DISCONNECT, which makes the broker drop the last will, and closes; forcibly after `ms` without an answer. */
  async close(ms: number, after: (ms: number, callback: () => void) => () => void): Promise<void> {
    const cancel = after(ms, () => this.abort());
    this.#client.end(false, {}, () => this.#finish(null));
    await this.ended;
    cancel();
  }

  /** Closes immediately, without DISCONNECT. */
  abort(): void {
    this.#finish(null);
  }

  #bytesOf(message: Message): number {
    const { topic, payload } = message;
    return publishBytes({ topic, payload, qos: this.#limits.delivery(message).qos }, this.#version);
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
    return this.#oneByOne || this.#answered === 0 ? 1 : this.#limits.window;
  }

  #settle(sending: Sending, error: Error | null): void {
    // mqtt.js fails open requests with this message when the connection ends; `#finish` reports them.
    if (this.#over || error?.message === 'Connection closed' || !this.#open.delete(sending)) return;
    if (error) sending.reject(this.#limits.refused(sending, error));
    else {
      this.#limits.accepted(sending);
      sending.resolve();
    }
    this.#answered++;
    this.#fill();
  }

  /** A ping was answered, so the broker has handled everything sent before it. */
  #fenced(): void {
    for (const sending of this.#pings.shift() ?? []) this.#settle(sending, null);
    if (this.#unfenced.length > 0 && this.#pings.length === 0 && !this.#over) this.#client.sendPing();
  }

  #understand(error: unknown): unknown {
    const coded = typeof error === 'object' && error !== null && 'code' in error;
    if (coded) return this.#up ? error : Object.assign(error, { reasonString: this.#reasonString });
    if (OWN_ERRORS.test(messageOf(error))) return error;
    const packet = this.#received.find(messageOf(error));
    const request = packet && [...this.#open].find(({ messageId }) => messageId === packet.messageId);
    return new ProtocolError(error, packet, request ?? null);
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
 * mqtt.js loads TLS, HTTP and WebSockets to connect, which takes 10 MB of memory: a plain connection avoids them.
 */
function openClient(options: IClientOptions): MqttClient {
  const { protocol, host = 'localhost', port = 1883, cert } = options;
  if (protocol !== 'mqtt' || cert !== undefined) return connect(options);
  return new MqttClient(() => connectTcp({ host, port }), options);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
