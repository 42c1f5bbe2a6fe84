/**
 * What an earlier configuration has left on the broker: topics and entities of cameras and labels that are gone. Only
 * topics that this device is known to have published there are emptied: the database has the list, for nothing on the
 * broker tells who published a topic, and another device may have topics of the same shape.
 */
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Store } from '../store/store.ts';
import type { Component } from './discovery.ts';
import type { Message } from './requests.ts';
import type { Topics } from './topics.ts';

/** Largest description of a device that is looked at, in bytes. */
const LARGEST = 1_000_000;

export interface StaleTopicsOptions {
  topics: Topics;
  /** Where Home Assistant reads the description; null: nowhere. */
  discovery: { topic: string; id: string } | null;
  store: Pick<Store, 'announced' | 'announce'>;
  log: Logger;
  /** Says that there were such entities. */
  entities: (known: Record<string, Component>) => void;
}

export class StaleTopics {
  readonly #options: StaleTopicsOptions;
  /** Topics of this device that lie on the broker. */
  #announced = new Set<string>();
  /** Topics whose row is still to be written or removed. */
  readonly #changed = new Set<string>();
  #broker: string | null = null;
  #writing: Promise<void> | null = null;

  constructor(options: StaleTopicsOptions) {
    this.#options = options;
  }

  /**
   * Reads what this device has published on a broker.
   * @param broker its address
   * @returns topics of cameras and labels that are gone, to be emptied
   */
  async load(broker: string): Promise<string[]> {
    const { store, topics, log } = this.#options;
    this.#broker = broker;
    try {
      this.#announced = new Set(await store.announced(broker));
    } catch (error) {
      log.warn(`what earlier cameras and labels left on the broker stays there: ${messageOf(error)}`);
    }
    return [...this.#announced].filter((topic) => topics.isOfCamera(topic) && !topics.isInUse(topic));
  }

  /** Topic filters whose retained messages show which entities there were. */
  get filters(): string[] {
    const { discovery } = this.#options;
    return discovery === null ? [] : [discovery.topic];
  }

  /** Takes a retained message. Returns whether it was one of those that the filters ask for. */
  receive(topic: string, payload: Buffer): boolean {
    const { discovery, entities } = this.#options;
    if (discovery === null || topic !== discovery.topic) return false;
    entities(componentsOf(payload, discovery.id));
    return true;
  }

  /** The broker has taken a retained message. */
  taken({ topic, payload }: Message): void {
    const lies = payload.length > 0;
    if (this.#broker === null || this.#announced.has(topic) === lies) return;
    if (lies) this.#announced.add(topic);
    else this.#announced.delete(topic);
    this.#changed.add(topic);
    this.#writing ??= this.#write(this.#broker).finally(() => {
      this.#writing = null;
    });
  }

  /** Resolves when everything is written. */
  async stop(): Promise<void> {
    await this.#writing;
  }

  async #write(broker: string): Promise<void> {
    const { store, log } = this.#options;
    while (this.#changed.size > 0) {
      // What is said in the same moment goes into one transaction.
      await new Promise((resolve) => setImmediate(resolve));
      const changed = [...this.#changed];
      this.#changed.clear();
      const added = changed.filter((topic) => this.#announced.has(topic));
      const removed = changed.filter((topic) => !this.#announced.has(topic));
      try {
        await store.announce({ broker, added, removed });
      } catch (error) {
        // They stay on the broker should their camera or label go, which is the smaller harm.
        log.debug({ err: error }, 'the list of retained topics could not be written');
      }
    }
  }
}

/** The entities that a description of this device names, each with its platform; none if it is of another one. */
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
