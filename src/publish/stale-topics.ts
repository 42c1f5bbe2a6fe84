/**
 * Clears what an earlier configuration left on the broker: topics and entities of removed cameras and labels. Only
 * topics that this device has published there are cleared: the database has the list, because the broker does not show
 * who published a topic, and another device may use topics of the same form.
 */
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Store } from '../store/store.ts';
import type { Component } from './discovery.ts';
import type { Message } from './requests.ts';
import type { Topics } from './topics.ts';

/** Largest description of a device that is read, in bytes. */
const LARGEST = 1_000_000;

export interface StaleTopicsOptions {
  topics: Topics;
  /** The topic of the description for Home Assistant; null: none is published. */
  discovery: { topic: string; id: string } | null;
  store: Pick<Store, 'announced' | 'announce'>;
  log: Logger;
  /** Gets the entities of the description that is retained on the broker. */
  onEntities: (known: Record<string, Component>) => void;
}

export class StaleTopics {
  readonly #options: StaleTopicsOptions;
  /** Topics of this device that are retained on the broker. */
  #announced = new Set<string>();
  /** Topics whose row is not written or removed yet. */
  readonly #changed = new Set<string>();
  #broker: string | null = null;
  #writing: Promise<void> | null = null;

  constructor(options: StaleTopicsOptions) {
    this.#options = options;
  }

  /**
   * Reads which topics this device has published on a broker.
   * @param broker its URL
   * @returns topics of removed cameras and labels, to be cleared
   */
  async load(broker: string): Promise<string[]> {
    const { store, topics, log } = this.#options;
    this.#broker = broker;
    try {
      this.#announced = new Set(await store.announced(broker));
    } catch (error) {
      log.warn(`cannot clear the topics of removed cameras and labels on the broker: ${messageOf(error)}`);
    }
    return [...this.#announced].filter((topic) => topics.isOfCamera(topic) && !topics.isInUse(topic));
  }

  /** Topic filters whose retained messages list the earlier entities. */
  get filters(): string[] {
    const { discovery } = this.#options;
    return discovery === null ? [] : [discovery.topic];
  }

  /** Handles a retained message. Returns whether one of the filters covers it. */
  receive(topic: string, payload: Buffer): boolean {
    const { discovery, onEntities } = this.#options;
    if (discovery === null || topic !== discovery.topic) return false;
    onEntities(componentsOf(payload, discovery.id));
    return true;
  }

  /** The broker has accepted a retained message. */
  accepted({ topic, payload }: Message): void {
    const isRetained = payload.length > 0;
    if (this.#broker === null || this.#announced.has(topic) === isRetained) return;
    if (isRetained) this.#announced.add(topic);
    else this.#announced.delete(topic);
    this.#changed.add(topic);
    this.#writing ??= this.#write(this.#broker).finally(() => {
      this.#writing = null;
    });
  }

  /** Resolves when the list is written. */
  async stop(): Promise<void> {
    await this.#writing;
  }

  async #write(broker: string): Promise<void> {
    const { store, log } = this.#options;
    while (this.#changed.size > 0) {
      // Changes of the same turn of the event loop share one transaction.
      await new Promise((resolve) => setImmediate(resolve));
      const changed = [...this.#changed];
      this.#changed.clear();
      const added = changed.filter((topic) => this.#announced.has(topic));
      const removed = changed.filter((topic) => !this.#announced.has(topic));
      try {
        await store.announce({ broker, added, removed });
      } catch (error) {
        // The cost: these topics stay on the broker if their camera or label is removed.
        log.debug({ err: error }, 'cannot write the list of retained topics');
      }
    }
  }
}

/** The entities in a description of this device, each with its platform; none if it describes another device. */
function componentsOf(payload: Buffer, id: string): Record<string, Component> {
  if (payload.length > LARGEST) return {};
  let description: { device?: { identifiers?: unknown } | null; components?: unknown } | null;
  try {
    description = JSON.parse(payload.toString()) as typeof description;
  } catch {
    return {};
  }
  const identifiers = description?.device?.identifiers;
  if (!Array.isArray(identifiers) || !identifiers.includes(id)) return {};
  const entries = Object.entries(
    (description?.components ?? {}) as Record<string, { platform?: unknown } | null>,
  );
  return Object.fromEntries(
    entries.flatMap(([key, component]) =>
      typeof component?.platform === 'string' ? [[key, { platform: component.platform }]] : [],
    ),
  );
}
