import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { describeDevice, discoveryTopic } from '../../../src/publish/discovery.ts';
import { deviceId } from '../../../src/publish/topic-names.ts';
import { Topics } from '../../../src/publish/topics.ts';
import { healthSample } from '../../fakes/health.ts';

const cameras = [
  { name: 'front-door', labels: ['person', 'Egyptian cat'] },
  { name: 'drive', labels: ['vehicle'] },
];
const topics = new Topics('lookout', 'garden', cameras);
const info = { version: '1.2.3', board: 'Raspberry Pi 5', model: 'm', provider: 'cpu', cameras: [] };
const options = { base: 'lookout', device: 'garden', cameras, topics, info };
const discovery = describeDevice({ ...options, models: ['default', 'birds'] });

/** What Home Assistant accepts, according to its documentation and its checks of device discovery. */
const subscribed = z.string().regex(/^[^#+\0]+$/);
const availability = z.array(z.strictObject({ topic: subscribed })).optional();
const common = {
  unique_id: z.string().min(1),
  name: z.string().min(1),
  availability,
  availability_mode: z.enum(['all', 'any', 'latest']).optional(),
  entity_category: z.enum(['config', 'diagnostic']).optional(),
};
const template = z
  .string()
  .regex(/^\{\{.*\}\}$/)
  .optional();
const component = z.discriminatedUnion('platform', [
  z.strictObject({
    platform: z.literal('binary_sensor'),
    ...common,
    state_topic: subscribed,
    device_class: z.enum(['connectivity', 'occupancy', 'problem']),
    payload_on: z.string().optional(),
    payload_off: z.string().optional(),
    value_template: template,
  }),
  z
    .strictObject({
      platform: z.literal('sensor'),
      ...common,
      state_topic: subscribed,
      device_class: z.enum(['temperature', 'data_size', 'enum']).optional(),
      state_class: z.enum(['measurement', 'total_increasing']).optional(),
      unit_of_measurement: z.string().optional(),
      suggested_display_precision: z.number().int().optional(),
      options: z.array(z.string()).optional(),
      value_template: template,
    })
    .refine((sensor) => (sensor.options === undefined) === (sensor.device_class !== 'enum'))
    .refine((sensor) => !sensor.options || !(sensor.state_class || sensor.unit_of_measurement))
    .refine((sensor) => sensor.device_class !== 'temperature' || sensor.unit_of_measurement === '°C')
    .refine((sensor) => sensor.device_class !== 'data_size' || sensor.unit_of_measurement === 'MB'),
  z.strictObject({ platform: z.literal('camera'), ...common, topic: subscribed }),
  z.strictObject({
    platform: z.literal('switch'),
    ...common,
    state_topic: subscribed,
    command_topic: subscribed,
  }),
  z.strictObject({
    platform: z.literal('select'),
    ...common,
    state_topic: subscribed,
    command_topic: subscribed,
    options: z.array(z.string()).min(2),
  }),
  z.strictObject({
    platform: z.literal('number'),
    ...common,
    state_topic: subscribed,
    command_topic: subscribed,
    min: z.number(),
    max: z.number(),
    step: z.number().min(0.001),
    mode: z.enum(['auto', 'box', 'slider']),
  }),
  z.strictObject({ platform: z.literal('button'), ...common, command_topic: subscribed }),
]);
const device = z.strictObject({
  identifiers: z.array(z.string()).min(1),
  name: z.string(),
  manufacturer: z.string().optional(),
  model: z.string().optional(),
  sw_version: z.string().optional(),
});
const message = z.strictObject({
  device,
  origin: z.strictObject({ name: z.string(), sw_version: z.string().optional() }),
  qos: z.number().int().min(0).max(2),
  components: z.record(z.string(), component),
});

test('Home Assistant accepts the description', () => {
  const { error } = message.safeParse(JSON.parse(JSON.stringify(discovery)));
  assert.equal(error, undefined);
});

test('the description is also valid before anything is known about the device, and for any name', () => {
  const odd = [{ name: '0_-', labels: ['#', '+/ü', 'status'] }];
  const bare = describeDevice({
    models: ['default'],
    base: 'home/up.stairs',
    device: 'x-1',
    cameras: odd,
    topics: new Topics('home/up.stairs', 'x-1', odd),
    info: null,
  });
  assert.equal(message.safeParse(JSON.parse(JSON.stringify(bare))).error, undefined);
  const topic = discoveryTopic('homeassistant', 'home/up.stairs', 'x-1');
  assert.equal(topic, 'homeassistant/device/home_up_stairs_x-1-X5BBD0C6F/config');
  assert.match(topic, /^homeassistant\/device\/[a-zA-Z0-9_-]+\/config$/);
});

test('there is an entity for each label, snapshot, setting and command of each camera', () => {
  const byTopic = (key: 'state_topic' | 'command_topic' | 'topic') =>
    new Set(Object.values(discovery.components).map((one) => one[key]));
  for (const topic of [
    'lookout/garden/front-door/person',
    'lookout/garden/front-door/Egyptian_cat~81441a80',
    'lookout/garden/drive/vehicle',
    'lookout/garden/drive/status',
    'lookout/garden/drive/enabled',
    'lookout/garden/drive/detect',
    'lookout/garden/drive/threshold',
    'lookout/garden/status',
    'lookout/garden/health',
  ]) {
    assert.ok(byTopic('state_topic').has(topic), topic);
  }
  for (const setting of ['enabled', 'detect', 'threshold', 'snapshot']) {
    assert.ok(byTopic('command_topic').has(`lookout/garden/drive/${setting}/set`), setting);
  }
  assert.ok(byTopic('topic').has('lookout/garden/drive/snapshot'));
});

test('every entity has an identifier of its own', () => {
  const ids = Object.values(discovery.components).map(({ unique_id }) => unique_id);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.ok(String(id).startsWith(`${deviceId('lookout', 'garden')}.`));
});

test('entities of the health message read fields that exist', () => {
  const fields = Object.keys(healthSample());
  for (const { state_topic, value_template } of Object.values(discovery.components)) {
    if (state_topic !== topics.health) continue;
    const [, field] = /value_json\.(\w+)/.exec(String(value_template)) ?? [];
    assert.ok(field && fields.includes(field), `${field} is a field of the health message`);
  }
});

test('all entities except the connection are unavailable while the device is', () => {
  for (const [key, one] of Object.entries(discovery.components)) {
    if (key === 'connected') continue;
    const topicsOf = (one.availability as { topic: string }[]).map(({ topic }) => topic);
    assert.ok(topicsOf.includes('lookout/garden/status'), key);
  }
});
