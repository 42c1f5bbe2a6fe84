import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema } from '../../../src/config/schema.ts';
import { deviceInfo } from '../../../src/setup/device-info.ts';
import { resolveCameras } from '../../../src/setup/resolved.ts';
import { resolvedModel, sessionInfo } from '../../fakes/resolved.ts';

const source = { kind: 'demo' };
const { cameras } = configSchema.parse({ cameras: { gate: { source }, yard: { source, model: 'birds' } } });
const models = new Map([
  ['default', resolvedModel('default')],
  ['birds', resolvedModel('birds')],
]);
const resolved = { models, cameras: resolveCameras(models, cameras) };

test('info names the default model and what runs it, all models and the cameras', () => {
  const sessions = new Map([
    ['key of birds', sessionInfo({ provider: 'cuda' })],
    ['key of default', sessionInfo()],
  ]);
  const { version, ...info } = deviceInfo({ board: 'Raspberry Pi 5', resolved, sessions, configError: null });
  assert.match(version, /^\d+\.\d+\.\d+/);
  assert.deepEqual(info, {
    board: 'Raspberry Pi 5',
    model: 'default_net',
    model_sha256: 'sha256 of default',
    provider: 'cpu',
    int8_kernel: 'standard',
    int8_kernel_reason: 'exact here',
    cameras: ['gate', 'yard'],
    models: { default: 'default_net', birds: 'birds_net' },
    config_error: null,
  });
});

test('while no camera uses the default model, the provider is that of another one', () => {
  const sessions = new Map([['key of birds', sessionInfo({ provider: 'cuda' })]]);
  const info = deviceInfo({ board: null, resolved, sessions, configError: 'no' });
  assert.equal(info.provider, 'cuda');
  assert.equal(info.model, 'default_net');
  assert.equal(info.config_error, 'no');
});
