import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import { type Message, TooLargeError } from './requests.ts';

/** Messages on their way at once; the rest of the session's window stays for the outbox. */
const IN_FLIGHT = 4;

/**
 * What is true right now, by topic: the latest value wins, older ones are never sent. Everything is said again at each
 * connection, since a broker may have forgotten it. Bounded by the number of topics.
 */
export class RetainedState {
  readonly #publish: (message: Message) => Promise<void>;
  readonly #log: Logger;
  readonly #onTaken: (message: Message) => void;
  readonly #values = new Map<string, Message>();
  /** What was said last of each topic that the broker does not take as it is. */
  readonly #complaints = new Map<string, string>();
  /** Topics whose value the broker has not been given yet. */
  #unsaid = new Set<string>();
  #connection: { inFlight: Set<string> } | null = null;
  #idle = Promise.withResolvers<void>();

  /** @param onTaken called when the broker has taken a message */
  constructor(
    publish: (message: Message) => Promise<void>,
    log: Logger,
    onTaken: (message: Message) => void = () => {},
  ) {
    this.#publish = publish;
    this.#log = log;
    this.#onTaken = onTaken;
  }

  /** Sets a topic's value; one that is the same text as before is not said again. */
  set(message: Message): void {
    const known = this.#values.get(message.topic);
    if (typeof message.payload === 'string' && message.payload === known?.payload) return;
    this.#values.set(message.topic, message);
    this.say(message.topic);
  }

  /** Says a topic's value again. */
  say(topic: string): void {
    if (!this.#values.has(topic)) return;
    this.#unsaid.add(topic);
    this.#fill();
  }

  /** Says everything again. */
  sayAll(): void {
    this.#unsaid = new Set(this.#values.keys());
    this.#fill();
  }

  connected(): void {
    this.#connection = { inFlight: new Set() };
    this.sayAll();
  }

  disconnected(): void {
    this.#connection = null;
    this.#settle();
  }

  /** Resolves when the broker knows everything, or the connection is lost. */
  async idle(): Promise<void> {
    while (this.#connection && this.#unsaid.size + this.#connection.inFlight.size > 0)
      await this.#idle.promise;
  }

  #fill(): void {
    const connection = this.#connection;
    if (!connection) return;
    for (const topic of this.#unsaid) {
      if (connection.inFlight.size >= IN_FLIGHT) return;
      // One message of a topic at a time, so that the last one said is the latest value.
      if (connection.inFlight.has(topic)) continue;
      this.#unsaid.delete(topic);
      connection.inFlight.add(topic);
      void this.#send(connection, this.#values.get(topic)!);
    }
    if (this.#unsaid.size + connection.inFlight.size === 0) this.#settle();
  }

  async #send(connection: { inFlight: Set<string> }, message: Message): Promise<void> {
    try {
      await this.#give(message);
      this.#onTaken(message);
      // What is emptied is not emptied again at the next connection.
      const { topic, payload } = message;
      if (payload.length === 0 && this.#values.get(topic) === message) this.#values.delete(topic);
    } catch (error) {
      if (connection !== this.#connection) return;
      const [code, hint] =
        error instanceof TooLargeError
          ? (['MQTT_LIMITED', 'Raise the limit of the broker (mosquitto: max_packet_size).'] as const)
          : (['MQTT_FORBIDDEN', 'Check the access rules of the broker.'] as const);
      this.#sayOnce(
        { code, hint },
        message.topic,
        `the broker did not take ${message.topic}: ${messageOf(error)}`,
      );
    }
    connection.inFlight.delete(message.topic);
    if (connection === this.#connection) this.#fill();
  }

  /** Has the broker take a message, made smaller if need be and possible. */
  async #give(message: Message): Promise<void> {
    try {
      await this.#publish(message);
    } catch (error) {
      if (!(error instanceof TooLargeError) || !message.smaller) throw error;
      const payload = await message.smaller(error.room);
      if (payload === null) throw error;
      const { topic, qos, retain } = message;
      await this.#publish({ topic, payload, qos, retain });
      const sizes = `${error.bytes} bytes, made ${payload.byteLength}: the broker takes no more than ${error.limit}`;
      this.#sayOnce({ code: 'MQTT_LIMITED' }, topic, `${topic} is sent smaller: ${sizes}`);
    }
  }

  #sayOnce(details: object, topic: string, what: string): void {
    if (this.#complaints.get(topic) === what) return;
    this.#complaints.set(topic, what);
    this.#log.warn(details, what);
  }

  #settle(): void {
    this.#idle.resolve();
    this.#idle = Promise.withResolvers();
  }
}
