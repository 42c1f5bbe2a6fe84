import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema } from '../../../src/config/schema.ts';
import { takeOver } from '../../../src/setup/reloadable.ts';

const triangle = [
  [0, 0],
  [1, 0],
  [1, 1],
];
const settings = (raw: object) => ({ ...configSchema.parse(raw), device: 'here' });
const camera = (raw: object = {}) => ({ source: { kind: 'demo' }, ...raw });

test('models, labels and groups are taken over, everything else waits and is named', () => {
  const running = settings({
    cameras: { door: camera({ zones: { path: { polygon: triangle } } }), yard: camera() },
    labels: { person: {} },
  });
  const next = settings({
    cameras: {
      door: camera({
        stall: 20,
        enabled: false,
        detect: false,
        model: 'birds',
        labels: { cat: {} },
        zones: { path: { polygon: [...triangle, [0, 1]], model: 'default', labels: ['person'] } },
      }),
      barn: camera(),
    },
    model: { threads: 2 },
    models: { birds: { file: 'birds.onnx' } },
    groups: { pet: ['cat'] },
    labels: { person: { on: 0.9 } },
    mqtt: { keepalive: 60 },
  });
  const { config, waiting } = takeOver(running, next);
  assert.deepEqual(waiting.sort(), [
    'cameras.barn',
    'cameras.door.stall',
    'cameras.door.zones.path.polygon',
    'cameras.yard',
    'mqtt.keepalive',
  ]);
  for (const key of ['model', 'models', 'groups', 'labels'] as const)
    assert.deepEqual(config[key], next[key]);
  const { door } = config.cameras;
  assert.deepEqual([door?.model, door?.labels, door?.stall], ['birds', { cat: {} }, 10]);
  assert.deepEqual([door?.enabled, door?.detect], [false, false]);
  assert.deepEqual(door?.zones.path, { polygon: triangle, model: 'default', labels: ['person'] });
  assert.deepEqual(config.cameras.yard, running.cameras.yard);
  assert.equal(config.mqtt.keepalive, 30);
});

test('a configuration that is the same leaves nothing to wait for', () => {
  const running = settings({ cameras: { door: camera({ zones: { path: { polygon: triangle } } }) } });
  assert.deepEqual(takeOver(running, structuredClone(running)).waiting, []);
});
