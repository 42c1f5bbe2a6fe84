/**
 * Home Assistant's device discovery: one retained message that describes the device with all its entities.
 * Format: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload (Home Assistant 2024.11 and
 * later). Home Assistant refuses the whole message for one unknown key at its root, and for a component with both
 * `availability` and `availability_topic`; so the root has only the four keys below and each component its own list.
 */

import type { DeviceInfo } from './payloads.ts';
import { asciiId, deviceId } from './topic-names.ts';
import type { PublishedCamera, Setting, Topics } from './topics.ts';

export type Component = { platform: string; unique_id?: string; [option: string]: unknown };

export interface DeviceDiscovery {
  device: Record<string, unknown>;
  origin: { name: string; sw_version?: string };
  qos: 1;
  components: Record<string, Component>;
}

export interface DiscoveryOptions {
  base: string;
  device: string;
  cameras: readonly PublishedCamera[];
  /** Names of the models that the cameras may use. */
  models: readonly string[];
  topics: Topics;
  info: DeviceInfo | null;
}

/** The topic on which Home Assistant expects the description. */
export function discoveryTopic(prefix: string, base: string, device: string): string {
  return `${prefix}/device/${deviceId(base, device)}/config`;
}

export function describeDevice({
  base,
  device,
  cameras,
  models,
  topics,
  info,
}: DiscoveryOptions): DeviceDiscovery {
  const id = deviceId(base, device);
  const entities = [
    ...deviceEntities(topics),
    ...cameras.flatMap((camera) => cameraEntities(topics, camera, models)),
  ];
  return {
    device: {
      identifiers: [id],
      name: device,
      manufacturer: 'Lookout',
      ...(info ? { sw_version: info.version } : {}),
      ...(info?.board ? { model: info.board } : {}),
    },
    origin: { name: 'Lookout', ...(info ? { sw_version: info.version } : {}) },
    qos: 1,
    components: Object.fromEntries(
      entities.map(([key, component]) => [key, { unique_id: `${id}.${key}`, ...component }]),
    ),
  };
}

type Entity = [key: string, component: Component];

/** Entities of the device: connectivity and health. */
function deviceEntities(topics: Topics): Entity[] {
  const availability = [online(topics.status)];
  const sensor = (key: string, name: string, options: object): Entity => [
    key,
    {
      platform: 'sensor',
      name,
      state_topic: topics.health,
      value_template: `{{ value_json.${key} }}`,
      entity_category: 'diagnostic',
      state_class: 'measurement',
      availability,
      ...options,
    },
  ];
  return [
    [
      'connected',
      {
        platform: 'binary_sensor',
        name: 'Connected',
        device_class: 'connectivity',
        state_topic: topics.status,
        payload_on: 'online',
        payload_off: 'offline',
        entity_category: 'diagnostic',
      },
    ],
    sensor('temperature_c', 'Temperature', { device_class: 'temperature', unit_of_measurement: '°C' }),
    sensor('fps', 'Frame rate', { unit_of_measurement: 'fps', suggested_display_precision: 1 }),
    sensor('inference_ms_p50', 'Inference time', {
      unit_of_measurement: 'ms',
      suggested_display_precision: 1,
    }),
    sensor('inference_ms_p99', 'Inference time p99', {
      unit_of_measurement: 'ms',
      suggested_display_precision: 1,
    }),
    sensor('frames_dropped', 'Frames dropped', { state_class: 'total_increasing' }),
    sensor('cpu_percent', 'Processor', { unit_of_measurement: '%', suggested_display_precision: 0 }),
    sensor('rss_mb', 'Memory', { device_class: 'data_size', unit_of_measurement: 'MB' }),
    sensor('outbox_depth', 'Waiting messages', {}),
    [
      'throttled',
      {
        platform: 'binary_sensor',
        name: 'Throttled',
        device_class: 'problem',
        state_topic: topics.health,
        value_template:
          "{{ 'None' if value_json.throttled is none else 'ON' if value_json.throttled else 'OFF' }}",
        entity_category: 'diagnostic',
        availability,
      },
    ],
    [
      'slowed_for_heat',
      {
        platform: 'binary_sensor',
        name: 'Slowed for heat',
        device_class: 'problem',
        state_topic: topics.thermal,
        value_template: "{{ 'ON' if value_json.limiting else 'OFF' }}",
        entity_category: 'diagnostic',
        availability,
      },
    ],
  ];
}

/** Entities of a camera: labels, snapshot, status and settings. */
function cameraEntities(
  topics: Topics,
  { name, labels }: PublishedCamera,
  models: readonly string[],
): Entity[] {
  const device = [online(topics.status)];
  const camera = [...device, online(topics.cameraStatus(name))];
  const entity = (key: string, what: string, component: Component): Entity => [
    `${name}.${key}`,
    { name: `${title(name)} ${what}`, ...component },
  ];
  const setting = (key: Setting) => ({
    state_topic: topics.setting(name, key),
    command_topic: topics.command(name, key),
    entity_category: 'config',
    availability: device,
  });
  return [
    ...labels.map((label) =>
      entity(`label.${asciiId(label)}`, label, {
        platform: 'binary_sensor',
        device_class: 'occupancy',
        state_topic: topics.label(name, label),
        availability: camera,
        availability_mode: 'all',
      }),
    ),
    entity('picture', 'picture', { platform: 'camera', topic: topics.snapshot(name), availability: device }),
    entity('status', 'status', {
      platform: 'sensor',
      device_class: 'enum',
      options: ['online', 'offline', 'stalled', 'disabled'],
      state_topic: topics.cameraStatus(name),
      entity_category: 'diagnostic',
      availability: device,
    }),
    entity('enabled', 'enabled', { platform: 'switch', ...setting('enabled') }),
    entity('detect', 'detection', { platform: 'switch', ...setting('detect') }),
    entity('threshold', 'threshold', {
      platform: 'number',
      min: 0,
      max: 1,
      step: 0.01,
      mode: 'slider',
      ...setting('threshold'),
    }),
    ...(models.length > 1
      ? [entity('model', 'model', { platform: 'select', options: models, ...setting('model') })]
      : []),
    entity('snapshot', 'take picture', {
      platform: 'button',
      command_topic: topics.command(name, 'snapshot'),
      availability: camera,
      availability_mode: 'all',
    }),
  ];
}

/** A topic with `online` (Home Assistant's default for available) while the entity is available. */
function online(topic: string): { topic: string } {
  return { topic };
}

/** `front-door` → `Front door` */
function title(name: string): string {
  const words = name.replace(/[_-]+/g, ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
