import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { until } from './until.ts';

export interface Recorded {
  topic: string;
  payload: Buffer;
  qos: number;
  /** It lay on the broker already when we subscribed. */
  retained: boolean;
}

/**
 * A subscriber that keeps everything it is sent, in order, across restarts of the broker. Its session is a lasting
 * one: a broker with persistence keeps what it misses.
 */
export class Recorder {
  readonly messages: Recorded[] = [];
  readonly #client: MqttClient;
  readonly #counts: { count: number; resolve: () => void }[] = [];

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on('message', (topic, payload, { qos, retain }) => {
      this.messages.push({ topic, payload, qos, retained: retain });
      for (const { count, resolve } of this.#counts) if (this.messages.length >= count) resolve();
    });
  }

  static async connect(url: string, filter = '#', options: IClientOptions = {}): Promise<Recorder> {
    const client = await connectAsync(url, {
      clientId: `recorder-${process.pid}-${Math.random().toString(16).slice(2)}`,
      clean: false,
      reconnectPeriod: 50,
      resubscribe: true,
      ...options,
    });
    const recorder = new Recorder(client);
    await client.subscribeAsync(filter, { qos: 1 });
    return recorder;
  }

  get connected(): boolean {
    return this.#client.connected;
  }

  /** Resolves at the very moment at which so many messages have come. */
  async received(count: number): Promise<void> {
    if (this.messages.length >= count) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#counts.push({ count, resolve });
    await promise;
  }

  /** Payloads of one topic as text, oldest first. */
  texts(topic: string): string[] {
    return this.messages
      .filter((message) => message.topic === topic)
      .map(({ payload }) => payload.toString());
  }

  /** The latest payload of a topic as text. */
  last(topic: string): string | undefined {
    return this.texts(topic).at(-1);
  }

  /** Resolves when the latest payload of a topic is this text. */
  async sees(topic: string, text: string, timeoutMs?: number): Promise<void> {
    await until(`${topic} to be ${text}`, () => this.last(topic) === text, timeoutMs).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}; it is ${this.last(topic)}`);
      },
    );
  }

  /** Sends a message with QoS 1; resolves when the broker has it. */
  async publish(topic: string, payload: string | Buffer, retain = false): Promise<void> {
    await this.#client.publishAsync(topic, payload, { qos: 1, retain });
  }

  async end(): Promise<void> {
    await this.#client.endAsync(true);
  }
}
