import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Message } from './session.ts';

/** Messages on their way at once; the rest of the session's window stays for the outbox. */
const IN_FLIGHT = 4;

/**
 * What is true right now, by topic: the latest value wins, older ones are never sent. Everything is said again at each
 * connection, since a broker may have forgotten it. Bounded by the number of topics.
 */
export class LiveState {
  readonly #publish: (message: Message) => Promise<void>;
  readonly #log: Logger;
  readonly #onTaken: (message: Message) => void;
  readonly #values = new Map<string, Message>();
  /** Topics whose value the broker has not been given yet. */
  #unsaid = new Set<string>();
  #connection: { inFlight: Set<string> } | null = null;
  #idle = Promise.withResolvers<void>();

  /** @param onTaken called when the broker has taken a retained message */
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

  connected(): void {
    this.#connection = { inFlight: new Set() };
    this.#unsaid = new Set(this.#values.keys());
    this.#fill();
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
      await this.#publish(message);
      if (message.retain) this.#onTaken(message);
      // What is emptied is not emptied again at the next connection.
      const { topic, payload } = message;
      if (payload.length === 0 && this.#values.get(topic) === message) this.#values.delete(topic);
    } catch (error) {
      if (connection !== this.#connection) return;
      this.#log.warn(
        { code: 'MQTT_FORBIDDEN', hint: 'Check the access rules and the size limit of the broker.' },
        `the broker did not take ${message.topic}: ${messageOf(error)}`,
      );
    }
    connection.inFlight.delete(message.topic);
    if (connection === this.#connection) this.#fill();
  }

  #settle(): void {
    this.#idle.resolve();
    this.#idle = Promise.withResolvers();
  }
}
