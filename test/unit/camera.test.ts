import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import sharp from 'sharp';
import { Camera } from '../../src/camera.ts';
import { FramePool } from '../../src/capture/frame-pool.ts';
import { configSchema } from '../../src/config/schema.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { Choices } from '../../src/setup/choices.ts';
import type { CameraStatus, Frame } from '../../src/types.ts';
import { toyModel } from '../fakes/analysis.ts';
import { FakeLog } from '../fakes/log.ts';
import { tempFolder } from '../support/daemon.ts';
import { until } from '../support/until.ts';

/** A camera that plays one picture, once, with all around it made up. */
async function player(t: TestContext) {
  const folder = tempFolder();
  await sharp({ create: { width: 64, height: 64, channels: 3, background: 'grey' } })
    .png()
    .toFile(`${folder}/grey.png`);
  const source = { kind: 'replay', path: folder, loop: false, pace: 'consumed' };
  const settings = { ...configSchema.parse({ cameras: { drive: { source } } }), device: 'here' };
  const config = settings.cameras.drive!;
  const seen = { statuses: [] as CameraStatus[], frames: 0, ends: 0, snapshots: 0 };
  const pass = (frame: Frame) => {
    seen.frames++;
    camera.onDropped(frame);
  };
  const camera: Camera = new Camera(
    'drive',
    { config, models: { camera: toyModel({}), zones: {} } },
    {
      vision: { offer: pass, consumed: async () => {}, setDetect: () => {}, setOpenRegions: () => {} },
      store: {
        recordDetections: () => {},
        flush: async () => {},
        saveSnapshot: async ({ data }) => {
          seen.snapshots++;
          return { written: true, jpeg: new Uint8Array(1), data };
        },
      },
      publisher: {
        setCameraStatus: (_name, status) => seen.statuses.push(status),
        setLabel: () => {},
        setSetting: () => {},
        confirm: () => {},
        publishSnapshot: () => {},
      },
      recorder: { record: () => {}, amend: () => {} },
      choices: new Choices({
        config: settings,
        models: ['default'],
        clock: systemClock,
        judge: systemClock,
        log: new FakeLog().logger,
        store: { choices: async () => [], choose: async () => {} },
        onSaved: () => {},
      }),
      pool: new FramePool(),
      onFailures: () => {},
      logThreshold: 0.2,
      clock: systemClock,
      log: new FakeLog().logger,
      random: Math.random,
      newId: () => 'id',
      judge: {
        likely: (wall) => wall,
      },
      onFrame: () => {},
      onEnd: () => seen.ends++,
    },
  );
  t.after(() => camera.stop());
  await camera.start();
  await until('the end of the replay', () => seen.ends === 1);
  return { camera, seen };
}

test('a replay that has ended counts as ended until it plays again', async (t) => {
  const { camera, seen } = await player(t);
  assert.equal(camera.idle, true);
  const idle: boolean[] = [];
  camera.set({ camera: 'drive', setting: 'enabled', value: false });
  await until('it to be off', () => seen.statuses.at(-1) === 'disabled');
  const { frames } = seen;
  const { push } = seen.statuses;
  seen.statuses.push = (status) => {
    idle.push(camera.idle);
    return push.call(seen.statuses, status);
  };
  camera.set({ camera: 'drive', setting: 'enabled', value: true });
  await until('another picture', () => seen.frames > frames);
  await until('its second end', () => seen.ends === 2);
  assert.deepEqual(seen.statuses.slice(-3), ['offline', 'online', 'offline']);
  assert.equal(idle.at(-1), false, 'between online and its end it was at work');
});

test('a picture that was asked for while the camera was away is not taken when it comes back', async (t) => {
  const { camera, seen } = await player(t);
  camera.set({ camera: 'drive', setting: 'enabled', value: false });
  await until('it to be off', () => seen.statuses.at(-1) === 'disabled');
  camera.requestSnapshot();
  camera.set({ camera: 'drive', setting: 'enabled', value: true });
  await until('its second end', () => seen.ends === 2);
  assert.equal(seen.snapshots, 0);
});
