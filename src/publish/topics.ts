/**
 * The topics of one device, and the names that appear in them:
 *
 *   <base>/<device>/status · info · health
 *   <base>/<device>/<camera>/status · event · snapshot · <label>
 *   <base>/<device>/<camera>/<setting>  ←  <base>/<device>/<camera>/<setting>/set
 */

import { topicLevel } from './topic-names.ts';

/** Settings that a command can change at runtime; their state is retained next to the command's topic. */
export const SETTINGS = ['enabled', 'detect', 'threshold', 'model'] as const;
export type Setting = (typeof SETTINGS)[number];

/** Last levels that a camera's own topics use, so no label can. */
const RESERVED: readonly string[] = ['status', 'event', 'snapshot', ...SETTINGS];

/** A camera as subscribers see it. */
export interface PublishedCamera {
  name: string;
  /** Labels that make events on this camera. */
  labels: readonly string[];
}

/** A label as the last level of a topic of its camera. */
export function labelLevel(label: string): string {
  return topicLevel(label, RESERVED);
}

export class Topics {
  readonly device: string;
  /** Filter for all commands to this device. */
  readonly commands: string;
  readonly #labels: Map<string, readonly string[]>;

  constructor(base: string, device: string, cameras: readonly PublishedCamera[]) {
    this.device = `${base}/${device}`;
    this.commands = `${this.device}/+/+/set`;
    this.#labels = new Map(cameras.map(({ name, labels }) => [name, labels]));
  }

  setLabels(camera: string, labels: readonly string[]): void {
    this.#labels.set(camera, labels);
  }

  get status(): string {
    return `${this.device}/status`;
  }

  get info(): string {
    return `${this.device}/info`;
  }

  get health(): string {
    return `${this.device}/health`;
  }

  get thermal(): string {
    return `${this.device}/thermal`;
  }

  cameraStatus(camera: string): string {
    return `${this.device}/${camera}/status`;
  }

  event(camera: string): string {
    return `${this.device}/${camera}/event`;
  }

  snapshot(camera: string): string {
    return `${this.device}/${camera}/snapshot`;
  }

  setting(camera: string, setting: Setting): string {
    return `${this.device}/${camera}/${setting}`;
  }

  command(camera: string, setting: Setting | 'snapshot'): string {
    return `${this.device}/${camera}/${setting}/set`;
  }

  /** The topics that `commands` covers. */
  get eachCommand(): string[] {
    return [...this.#labels.keys()].flatMap((camera) =>
      [...SETTINGS, 'snapshot' as const].map((setting) => this.command(camera, setting)),
    );
  }

  labels(camera: string): string[] {
    const labels = this.#labels.get(camera) ?? [];
    return labels.map((label) => `${this.device}/${camera}/${labelLevel(label)}`);
  }

  /** Null for a label that makes no events on this camera. */
  label(camera: string, label: string): string | null {
    const known = this.#labels.get(camera)?.includes(label) ?? false;
    return known ? `${this.device}/${camera}/${labelLevel(label)}` : null;
  }

  /** Whether a topic has the form of a camera's topics, also of a removed camera. */
  isOfCamera(topic: string): boolean {
    return topic.startsWith(`${this.device}/`) && topic.slice(this.device.length + 1).split('/').length === 2;
  }

  /** Whether a topic belongs to a configured camera, and to a label or setting of it. */
  isInUse(topic: string): boolean {
    return [...this.#labels.keys()].some(
      (camera) =>
        [this.cameraStatus(camera), this.event(camera), this.snapshot(camera)].includes(topic) ||
        SETTINGS.some((setting) => topic === this.setting(camera, setting)) ||
        this.labels(camera).includes(topic),
    );
  }

  /** Camera and setting in a command topic, whether they exist or not; null for any other topic. */
  parseCommand(topic: string): { camera: string; setting: string } | null {
    if (!topic.startsWith(`${this.device}/`)) return null;
    const [camera, setting, set, ...rest] = topic.slice(this.device.length + 1).split('/');
    if (!camera || !setting || set !== 'set' || rest.length > 0) return null;
    return { camera, setting };
  }
}
