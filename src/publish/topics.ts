/**
 * The topics of one device, and the names that appear in them:
 *
 *   <base>/<device>/status · info · health
 *   <base>/<device>/<camera>/status · event · snapshot · <label>
 *   <base>/<device>/<camera>/<setting>  ←  <base>/<device>/<camera>/<setting>/set
 */

/** What can be changed by a command while Lookout runs; its state is retained beside the command's topic. */
export const SETTINGS = ['enabled', 'detect', 'threshold', 'model'] as const;
export type Setting = (typeof SETTINGS)[number];

/** Last levels that a camera's own topics use, so no label can. */
const RESERVED: readonly string[] = ['status', 'event', 'snapshot', ...SETTINGS];

/** A camera as subscribers see it. */
export interface PublishedCamera {
  name: string;
  /** Labels that make events here. */
  labels: readonly string[];
}

/**
 * Labels as topic levels: lower case, anything but a-z, 0-9, `-` and `_` becomes `_`. A label that would collide
 * with one of the camera's own topics or with an earlier label gets a number: `status_2`.
 */
export function labelLevels(labels: readonly string[]): Map<string, string> {
  const taken = new Set(RESERVED);
  const levels = new Map<string, string>();
  for (const label of labels) {
    const slug = label.toLowerCase().replace(/[^a-z0-9_-]+/g, '_') || '_';
    let level = slug;
    for (let n = 2; taken.has(level); n++) level = `${slug}_${n}`;
    taken.add(level);
    levels.set(label, level);
  }
  return levels;
}

export class Topics {
  readonly device: string;
  /** Everything that others may send to this device. */
  readonly commands: string;
  readonly #labels: Map<string, Map<string, string>>;

  constructor(base: string, device: string, cameras: readonly PublishedCamera[]) {
    this.device = `${base}/${device}`;
    this.commands = `${this.device}/+/+/set`;
    this.#labels = new Map(cameras.map(({ name, labels }) => [name, labelLevels(labels)]));
  }

  setLabels(camera: string, labels: readonly string[]): void {
    this.#labels.set(camera, labelLevels(labels));
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

  labels(camera: string): string[] {
    const levels = this.#labels.get(camera)?.values() ?? [];
    return [...levels].map((level) => `${this.device}/${camera}/${level}`);
  }

  /** Null for a label that makes no events on this camera. */
  label(camera: string, label: string): string | null {
    const level = this.#labels.get(camera)?.get(label);
    return level === undefined ? null : `${this.device}/${camera}/${level}`;
  }

  /** Whether a topic has the shape of those of a camera, also of one that is gone. */
  isOfCamera(topic: string): boolean {
    return topic.startsWith(`${this.device}/`) && topic.slice(this.device.length + 1).split('/').length === 2;
  }

  /** Whether a topic of a camera belongs to one that there is, and to a label or setting that it has. */
  isInUse(topic: string): boolean {
    return [...this.#labels.keys()].some(
      (camera) =>
        [this.cameraStatus(camera), this.event(camera), this.snapshot(camera)].includes(topic) ||
        SETTINGS.some((setting) => topic === this.setting(camera, setting)) ||
        this.labels(camera).includes(topic),
    );
  }

  /** Camera and setting that a command's topic names, whether they exist or not; null for any other topic. */
  parseCommand(topic: string): { camera: string; setting: string } | null {
    if (!topic.startsWith(`${this.device}/`)) return null;
    const [camera, setting, set, ...rest] = topic.slice(this.device.length + 1).split('/');
    if (!camera || !setting || set !== 'set' || rest.length > 0) return null;
    return { camera, setting };
  }
}
