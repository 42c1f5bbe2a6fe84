import { connect as connectTcp } from 'node:net';
import { connect, type IClientOptions, MqttClient } from 'mqtt';

/** One MQTT message. */
export interface Message {
  topic: string;
  payload: string | Uint8Array;
  qos: 0 | 1;
  retain: boolean;
}

/**
 * QoS 1 messages on their way at once. Brokers that name their own limit (MQTT 5 Receive Maximum; mosquitto: 20) get
 * no more than that.
 */
export const MOST_IN_FLIGHT = 16;

/** Bytes around the payload and the topic of a PUBLISH packet, generously. */
const PACKET_OVERHEAD = 64;

interface Sending {
  message: Message;
  resolve: () => void;
  reject: (error: Error) => void;
}

export interface SessionHandlers {
  /** The broker has said yes. */
  up(): void;
  message(topic: string, payload: Buffer, retained: boolean): void;
}

/**
 * One connection to the broker, from its first packet to its last. mqtt.js would reconnect by itself, but resends and
 * reorders while doing so; here each connection is a new client with a clean session, so messages leave in the order
 * in which they are published and nothing of an earlier connection follows them.
 */
export class Session {
  /** Resolves when the connection is over, with the reason; null: the other side just closed it. */
  readonly ended: Promise<unknown>;
  #end: (reason: unknown) => void;
  #client: MqttClient;
  #up = false;
  #over = false;
  #limit = MOST_IN_FLIGHT;
  #largest = Number.POSITIVE_INFINITY;
  #inFlight = 0;
  #acknowledged = 0;
  #waiting: Sending[] = [];
  #unsettled = new Set<Sending>();

  constructor(options: IClientOptions, handlers: SessionHandlers) {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.ended = promise;
    this.#end = resolve;
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
    client.on('connect', ({ properties }) => {
      this.#up = true;
      this.#limit = Math.min(MOST_IN_FLIGHT, properties?.receiveMaximum ?? MOST_IN_FLIGHT);
      this.#largest = properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY;
      handlers.up();
    });
    client.on('message', (topic, payload, { retain }) => handlers.message(topic, payload, retain));
    client.on('disconnect', ({ reasonCode }) =>
      this.#finish(Object.assign(new Error('the broker ended the connection'), { code: reasonCode })),
    );
    client.on('error', (error) => this.#finish(error));
    client.on('close', () => this.#finish(null));
  }

  /** How many messages the broker has acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /**
   * Sends a message. QoS 1: resolves when the broker has it; QoS 0: when the socket has taken it.
   * Rejects when the connection ends before, or when the broker refuses the message.
   */
  publish(message: Message): Promise<void> {
    if (!this.#up || this.#over) return Promise.reject(new Error('no connection to the broker'));
    const bytes = Buffer.byteLength(message.payload);
    if (bytes + message.topic.length + PACKET_OVERHEAD > this.#largest) {
      return Promise.reject(new Error(`${bytes} bytes are more than the broker takes (${this.#largest})`));
    }
    return new Promise((resolve, reject) => {
      const sending = { message, resolve, reject };
      this.#unsettled.add(sending);
      if (message.qos === 0) this.#send(sending, () => {});
      else {
        this.#waiting.push(sending);
        this.#fill();
      }
    });
  }

  /** Asks for messages. Resolves with whether the broker grants it; false too when the connection ends before. */
  subscribe(filters: string[]): Promise<boolean> {
    if (this.#over) return Promise.resolve(false);
    const granted = new Promise<boolean>((resolve) => {
      this.#client.subscribe(filters, { qos: 1 }, (error) => resolve(!error));
    });
    return Promise.race([granted, this.ended.then(() => false)]);
  }

  /** Asks for no more of them. */
  unsubscribe(filters: string[]): void {
    if (!this.#over) this.#client.unsubscribe(filters, () => {});
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

  #fill(): void {
    while (this.#inFlight < this.#limit) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#inFlight++;
      this.#send(next, () => {
        this.#inFlight--;
        this.#fill();
      });
    }
  }

  #send(sending: Sending, settled: () => void): void {
    const { topic, payload, qos, retain } = sending.message;
    const body = typeof payload === 'string' ? payload : asBuffer(payload);
    this.#client.publish(topic, body, { qos, retain }, (error) => {
      if (this.#over) return;
      this.#unsettled.delete(sending);
      if (error) sending.reject(error);
      else {
        if (qos === 1) this.#acknowledged++;
        sending.resolve();
      }
      settled();
    });
  }

  #finish(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#end(reason);
    this.#client.end(true);
    this.#client.stream.destroy();
    const lost = new Error('the connection to the broker was lost');
    for (const { reject } of this.#unsettled) reject(lost);
    this.#unsettled.clear();
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
