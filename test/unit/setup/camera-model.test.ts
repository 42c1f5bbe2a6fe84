import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema } from '../../../src/config/schema.ts';
import { modelSettings } from '../../../src/setup/camera-model.ts';

test('every setting that names a model file is found: the models, and the cameras and zones that use them', () => {
  const polygon = [
    [0, 0],
    [1, 0],
    [1, 1],
  ];
  const config = configSchema.parse({
    model: { file: '/a.onnx' },
    models: { birds: { file: '/b.onnx' }, again: { file: '/a.onnx' } },
    cameras: {
      drive: {
        source: { kind: 'demo' },
        model: 'birds',
        zones: { gate: { polygon, model: 'again' }, lawn: { polygon, model: 'default' } },
      },
      door: { source: { kind: 'demo' } },
    },
  });
  assert.deepEqual(Object.fromEntries(modelSettings(config)), {
    '/a.onnx': [
      'model.file',
      'models.again.file',
      'cameras.drive.zones.gate.model',
      'cameras.drive.zones.lawn.model',
    ],
    '/b.onnx': ['models.birds.file', 'cameras.drive.model'],
  });
});
