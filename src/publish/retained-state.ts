import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import { type Message, TooLargeError } from './requests.ts';

/** Messages in flight; the rest of the session's window is left for the outbox. */
const IN_FLIGHT = 4;

/**
 * The current value of each topic: the latest one wins, older ones are never sent. Everything is published again with
 * each connection, because a broker may have lost it. Bounded by the number of topics.
 */
export class RetainedState {
  readonly #publish: (message: Message) => Promise<void>;
  readonly #log: Logger;
  readonly #onAccepted: (message: Message) => void;
  readonly #values = new Map<string, Message>();
  /** The last log message of each topic that the broker does not accept unchanged. */
  readonly #logged = new Map<string, string>();
  /** Topics whose value is not sent yet. */
  #pending = new Set<string>();
  #connection: { inFlight: Set<string> } | null = null;
  #idle = Promise.withResolvers<void>();

  /** @param onAccepted called when the broker has accepted a message */
  constructor(
    publish: (message: Message) => Promise<void>,
    log: Logger,
    onAccepted: (message: Message) => void = () => {},
  ) {
    this.#publish = publish;
    this.#log = log;
    this.#onAccepted = onAccepted;
  }

  /** Sets a topic's value; the same text as before is not published again. */
  set(message: Message): void {
    const known = this.#values.get(message.topic);
    if (typeof message.payload === 'string' && message.payload === known?.payload) return;
    this.#values.set(message.topic, message);
    this.republish(message.topic);
  }

  /** Publishes a topic's value again. */
  republish(topic: string): void {
    if (!this.#values.has(topic)) return;
    this.#pending.add(topic);
    this.#fill();
  }

  republishAll(): void {
    this.#pending = new Set(this.#values.keys());
    this.#fill();
  }

  connected(): void {
    this.#connection = { inFlight: new Set() };
    this.republishAll();
  }

  disconnected(): void {
    this.#connection = null;
    this.#settle();
  }

  /** Resolves when the broker has every value, or the connection is lost. */
  async idle(): Promise<void> {
    while (this.#connection && this.#pending.size + this.#connection.inFlight.size > 0)
      await this.#idle.promise;
  }

  #fill(): void {
    const connection = this.#connection;
    if (!connection) return;
    for (const topic of this.#pending) {
      if (connection.inFlight.size >= IN_FLIGHT) return;
      // One message per topic in flight, so that the broker gets the latest value last.
      if (connection.inFlight.has(topic)) continue;
      this.#pending.delete(topic);
      connection.inFlight.add(topic);
      void this.#send(connection, this.#values.get(topic)!);
    }
    if (this.#pending.size + connection.inFlight.size === 0) this.#settle();
  }

  async #send(connection: { inFlight: Set<string> }, message: Message): Promise<void> {
    try {
      await this.#publishFitting(message);
      this.#onAccepted(message);
      // A cleared topic is not cleared again with the next connection.
      const { topic, payload } = message;
      if (payload.length === 0 && this.#values.get(topic) === message) this.#values.delete(topic);
    } catch (error) {
      if (connection !== this.#connection) return;
      const [code, hint] =
        error instanceof TooLargeError
          ? (['MQTT_LIMITED', 'Raise the limit of the broker (mosquitto: max_packet_size).'] as const)
          : (['MQTT_FORBIDDEN', 'Check the access rules of the broker.'] as const);
      this.#logOnce(
        { code, hint },
        message.topic,
        `the broker rejected a message on topic ${message.topic}: ${messageOf(error)}`,
      );
    }
    connection.inFlight.delete(message.topic);
    if (connection === this.#connection) this.#fill();
  }

  /** Publishes a message, made smaller if it is too large and can shrink. */
  async #publishFitting(message: Message): Promise<void> {
    try {
      await this.#publish(message);
    } catch (error) {
      if (!(error instanceof TooLargeError) || !message.smaller) throw error;
      const payload = await message.smaller(error.room);
      if (payload === null) throw error;
      const { topic, qos, retain } = message;
      await this.#publish({ topic, payload, qos, retain });
      const sizes = `${error.bytes} bytes reduced to ${payload.byteLength}: the broker accepts no more than ${error.limit}`;
      this.#logOnce({ code: 'MQTT_LIMITED' }, topic, `${topic} is published smaller: ${sizes}`);
    }
  }

  #logOnce(details: object, topic: string, what: string): void {
    if (this.#logged.get(topic) === what) return;
    this.#logged.set(topic, what);
    this.#log.warn(details, what);
  }

  #settle(): void {
    this.#idle.resolve();
    this.#idle = Promise.withResolvers();
  }
}
