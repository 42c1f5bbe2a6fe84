import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/load-config.ts';
import { Daemon } from '../../src/daemon.ts';
import { plant } from '../fakes/boards.ts';
import { tempFolder } from '../support/daemon.ts';
import { freePort } from '../support/mosquitto.ts';
import { Recorder } from '../support/recorder.ts';
import { until } from '../support/until.ts';

const THERMOMETER = 'sys/class/thermal/thermal_zone0/temp';

test('a daemon on a hot board analyses fewer frames and says so over MQTT, until the board has cooled down', async (t) => {
  const root = plant({ 'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n', [THERMOMETER]: '50000\n' });
  const folder = tempFolder();
  const port = await freePort();
  const file = join(folder, 'lookout.yaml');
  writeFileSync(
    file,
    stringify({
      device: 'oven',
      cameras: { demo: { source: { kind: 'demo', fps: 20 }, gate: 'always', classify: 'frame' } },
      thermal: { limit: 60 },
      health_interval: 1,
      mqtt: { embedded_port: port },
    }),
  );
  const daemon = new Daemon(loadConfig({ file, env: {} }), { log: pino({ level: 'silent' }), root });
  await daemon.start();
  t.after(() => daemon.stop());
  const recorder = await Recorder.connect(`mqtt://127.0.0.1:${port}`);
  t.after(() => recorder.end());
  const state = () => JSON.parse(recorder.last('lookout/oven/thermal') ?? '{}') as Record<string, unknown>;
  await until('the first state', () => state().limiting === false);
  assert.deepEqual(state(), { limiting: false, temperature_c: 50, limit_c: 60, analysed_share: 1 });

  writeFileSync(join(root, THERMOMETER), '100000\n');
  await until('the least share', () => state().analysed_share === 0.1);
  const health = () => JSON.parse(recorder.last('lookout/oven/health') ?? '{}') as Record<string, number>;
  // What comes next may still count frames from before.
  const hotAt = health().at;
  await until('a health message of the hot board', () => health().at !== hotAt);
  const from = health();
  await until('40 more frames', () => health().frames_captured! - from.frames_captured! >= 40);
  const [captured, analysed] = (['frames_captured', 'frames_analysed'] as const).map(
    (name) => health()[name]! - from[name]!,
  );
  assert.ok(analysed! <= captured! / 4, `${analysed} of ${captured}`);

  writeFileSync(join(root, THERMOMETER), '30000\n');
  await until('more of them', () => Number(state().analysed_share) > 0.1, 60_000);
});
