import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config/load-config.ts';
import { ConfigResolver } from '../../../src/setup/config-resolver.ts';
import { resolveConfig } from '../../../src/setup/resolve.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { tempFolder } from '../../support/daemon.ts';

function configFile(changes: object = {}): string {
  const file = join(tempFolder(), 'lookout.yaml');
  writeFileSync(file, stringify({ cameras: { gate: { source: { kind: 'demo' } } }, ...changes }));
  return file;
}

test('the thread loads and resolves a configuration as the functions without a thread do', async () => {
  const file = configFile();
  const clock = new FakeClock();
  const resolver = new ConfigResolver(clock);
  const loaded = await resolver.load({ file, env: {} });
  assert.deepEqual(loaded, loadConfig({ file, env: {} }));
  assert.ok(Object.isFrozen(loaded.config));
  const { models, cameras } = await resolver.resolve(loaded);
  const expected = await resolveConfig(loaded);
  assert.deepEqual([...models.keys()], [...expected.models.keys()]);
  assert.equal(models.get('default')!.key, expected.models.get('default')!.key);
  const [gate, expectedGate] = [cameras.get('gate')!, expected.cameras.get('gate')!];
  assert.deepEqual(gate.config, expectedGate.config);
  assert.deepEqual(gate.models.camera.labels, expectedGate.models.camera.labels);
  assert.deepEqual(gate.models.camera.compiled.names, expectedGate.models.camera.compiled.names);
  clock.advance(1000);
});

test('an error of the thread arrives with its code, and the next call gets a new answer', async () => {
  const clock = new FakeClock();
  const resolver = new ConfigResolver(clock);
  await assert.rejects(resolver.load({ file: configFile({ health_interval: 'soon' }), env: {} }), {
    code: 'CONFIG_INVALID',
  });
  const missing = await resolver.load({ file: configFile({ model: { file: 'missing.onnx' } }), env: {} });
  await assert.rejects(resolver.resolve(missing), { code: /^MODEL_/ });
  // The thread has ended meanwhile; a call starts another.
  clock.advance(1000);
  assert.equal((await resolver.load({ file: configFile(), env: {} })).config.health_interval, 60);
  clock.advance(1000);
});
