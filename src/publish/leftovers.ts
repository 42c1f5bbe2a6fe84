/** What an earlier configuration has left on the broker: topics and entities of cameras and labels that are gone. */
import type { Component } from './discovery.ts';
import type { Topics } from './topics.ts';

/** Largest description of a device that is looked at, in bytes. */
const LARGEST = 1_000_000;

export interface LeftoversOptions {
  topics: Topics;
  /** Where Home Assistant reads the description; null: nowhere. */
  discovery: string | null;
  /** Empties a retained topic. */
  clear: (topic: string) => void;
  /** Says that there were such entities. */
  entities: (known: Record<string, Component>) => void;
}

export class Leftovers {
  readonly #options: LeftoversOptions;

  constructor(options: LeftoversOptions) {
    this.#options = options;
  }

  /** Topic filters whose retained messages show what was left. */
  get filters(): string[] {
    const { topics, discovery } = this.#options;
    return [topics.ofCameras, ...(discovery === null ? [] : [discovery])];
  }

  /** Takes a retained message. Returns whether it was one of those that the filters ask for. */
  receive(topic: string, payload: Buffer): boolean {
    const { topics, discovery, clear, entities } = this.#options;
    if (topic === discovery) {
      entities(componentsOf(payload));
      return true;
    }
    if (!topics.isOfCamera(topic)) return false;
    if (payload.length > 0 && !topics.isInUse(topic)) clear(topic);
    return true;
  }
}

/** The entities that a description names, each with its platform; none if it is not one of ours. */
function componentsOf(payload: Buffer): Record<string, Component> {
  if (payload.length > LARGEST) return {};
  let components: unknown;
  try {
    components = (JSON.parse(payload.toString()) as { components?: unknown } | null)?.components;
  } catch {
    return {};
  }
  const entries = Object.entries((components ?? {}) as Record<string, { platform?: unknown } | null>);
  return Object.fromEntries(
    entries.flatMap(([key, component]) =>
      typeof component?.platform === 'string' ? [[key, { platform: component.platform }]] : [],
    ),
  );
}
