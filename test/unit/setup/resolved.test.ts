import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema } from '../../../src/config/schema.ts';
import { cameraModels, labelsOf, modelsInUse, resolveCameras } from '../../../src/setup/resolved.ts';
import { resolvedModel } from '../../fakes/resolved.ts';

const source = { kind: 'demo' };
const polygon = [
  [0, 0],
  [1, 0],
  [1, 1],
];
const { cameras } = configSchema.parse({
  models: { birds: {} },
  cameras: {
    gate: { source, zones: { tree: { polygon, model: 'birds' }, path: { polygon, labels: ['dog'] } } },
    yard: { source },
  },
});
const models = new Map([
  ['default', resolvedModel('default')],
  ['birds', resolvedModel('birds', { labels: ['jay'] })],
]);

test('a camera and its zones get the models that they name, and zones only their labels', () => {
  const { gate } = Object.fromEntries(resolveCameras(models, cameras));
  assert.equal(gate!.config, cameras.gate);
  const { camera, zones } = gate!.models;
  assert.equal(camera.name, 'default_net');
  assert.deepEqual(Object.keys(camera.labels), ['dog', 'car']);
  assert.equal(zones.tree!.name, 'birds_net');
  assert.deepEqual(Object.keys(zones.path!.labels), ['dog']);
  assert.deepEqual(Object.keys(labelsOf(gate!.models)).sort(), ['car', 'dog', 'jay']);
});

test('a model that is not configured is refused with the camera that names it', () => {
  assert.throws(() => cameraModels(new Map([['default', models.get('default')!]]), 'gate', cameras.gate!), {
    code: 'CONFIG_INVALID',
    message: 'cameras.gate: the model birds is no longer configured',
  });
});

test('vision gets each model in use once, also under two names, and none that is unused', () => {
  const same = new Map([
    ...models,
    ['again', { ...models.get('default')! }],
    ['spare', resolvedModel('spare')],
  ]);
  const resolved = resolveCameras(same, { ...cameras, door: { ...cameras.yard!, model: 'again' } });
  const used = modelsInUse(same, new Map([...resolved].map(([name, camera]) => [name, camera.models])));
  assert.deepEqual(
    used.models.map(({ key }) => key),
    ['key of default', 'key of birds'],
  );
  assert.deepEqual(used.uses.gate, {
    camera: 'key of default',
    zones: { tree: 'key of birds', path: 'key of default' },
  });
  assert.equal(used.uses.door!.camera, 'key of default');
});
