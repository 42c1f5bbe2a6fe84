import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { busyCamera } from '../support/log.ts';
import { fakeEnv } from '../support/programs.ts';
import { ServiceManager } from '../support/service-manager.ts';
import { requiresStuckDevice, StuckDevice } from '../support/stuck-device.ts';
import { until } from '../support/until.ts';
import { define, type Outcome } from './fault.ts';
import { type Health, inLab, type Lab, type LabOptions, TOPIC } from './lab.ts';

const FPS = 5;
/** Milliseconds from the last picture to the word `stalled`. */
const LONGEST_SILENCE = 2 * (1000 / FPS) + 2000;
/** Pictures per second that the other camera must go on giving, of 10; fewer on a machine that is busy with others. */
const LEAST_FPS = 4;

const yard = {
  ...busyCamera(1, []).camera,
  source: { kind: 'libcamera', width: 128, height: 64, fps: FPS },
  stall: 4,
};

/** A lab with a second camera `yard`, whose program behaves as the file `camera` says. */
function labOptions(env: NodeJS.ProcessEnv = {}): LabOptions {
  const { camera, labels } = busyCamera(1, ['person', 'car', 'cat']);
  return {
    settings: { cameras: { door: camera, yard }, labels },
    files: { camera: '' },
    env: (folder) => ({ ...fakeEnv(), FAKE_CAMERA_FILE: join(folder, 'camera'), ...env }),
  };
}

interface CameraFault {
  /** How the program behaves in its first run; in the second it is sound. */
  behaviour: string;
  /** Resolves when the fault was noticed as it should. */
  noticed: (lab: Lab) => Promise<void>;
}

/** Starts a daemon for each fault, since pauses grow with failures, and sees it through until the camera is back. */
function seeThrough(
  times: number,
  { behaviour, noticed }: CameraFault,
  device?: StuckDevice,
): Promise<Outcome> {
  return inLab(labOptions(device ? { FAKE_CAMERA_DEVICE: device.path } : {}), async (lab) => {
    const recovery: number[] = [];
    for (let fault = 0; fault < times; fault++) {
      writeFileSync(join(lab.folder, 'camera'), behaviour);
      rmSync(join(lab.folder, 'camera.stalled'), { force: true });
      await lab.start();
      await lab.daemon.line(({ camera, msg }) => camera === 'yard' && msg === 'camera is online');
      writeFileSync(join(lab.folder, 'camera'), '');
      const since = lab.recorder.messages.length;
      await noticed(lab);
      const began = performance.now();
      const logged = lab.daemon.log.length;
      await until(
        'the camera to be back',
        () =>
          lab.daemon.log
            .slice(logged)
            .some(({ camera, msg }) => camera === 'yard' && msg === 'camera is online'),
        30_000,
      );
      recovery.push(performance.now() - began);
      await othersUnaffected(lab, since);
      lab.observe();
      const exit = await lab.daemon.stop();
      assert.equal(exit.code, 0);
      assert.ok(exit.after < 8000, `took ${exit.after} ms to stop`);
    }
    const [door, back] = [await lab.balance('door'), await lab.balance('yard')];
    return {
      injected: times,
      lost: door.lost + back.lost,
      duplicated: door.duplicated + back.duplicated,
      recovery,
      notes: `${door.events} and ${back.events} events`,
    };
  });
}

/** The other camera gave pictures all the time, and nobody said anything else of it. */
async function othersUnaffected(lab: Lab, since: number): Promise<void> {
  const first = await firstHealth(lab, since);
  const health = await lab.healthy('two seconds more', ({ uptime_s }) => uptime_s >= first.uptime_s + 2);
  const captured = health.cameras.door!.captured - first.cameras.door!.captured;
  const fps = captured / (health.uptime_s - first.uptime_s);
  assert.ok(fps >= LEAST_FPS, `the other camera gives ${fps.toFixed(1)} pictures per second`);
  const said = lab.recorder.messages
    .slice(since)
    .filter(({ topic, retained }) => topic === `${TOPIC}/door/status` && !retained);
  assert.deepEqual(
    said.map(({ payload }) => payload.toString()).filter((status) => status !== 'online'),
    [],
  );
}

/** The first health that was published after `since` messages. */
async function firstHealth(lab: Lab, since: number): Promise<Health> {
  const found = () => lab.recorder.messages.slice(since).find(({ topic }) => topic === `${TOPIC}/health`);
  await until('health', () => found() !== undefined);
  return JSON.parse(found()!.payload.toString()) as Health;
}

/** The status `stalled` was told soon after the last picture. */
async function toldStalled(lab: Lab): Promise<void> {
  const line = await lab.daemon.line(
    ({ camera, msg }) => camera === 'yard' && msg.startsWith('camera is stalled'),
  );
  await lab.recorder.sees(`${TOPIC}/yard/status`, 'stalled');
  const lastPicture = Number(readFileSync(join(lab.folder, 'camera.stalled'), 'utf8')) - 1000 / FPS;
  const silence = Date.parse(String(line.time)) - lastPicture;
  assert.ok(silence <= LONGEST_SILENCE + 50, `told after ${silence} ms`);
}

const failedWith = (code: string) => async (lab: Lab) => {
  await lab.daemon.line((line) => line.camera === 'yard' && line.code === code);
  await lab.recorder.sees(`${TOPIC}/yard/status`, 'offline');
};

export const faults = [
  define({
    name: 'camera-stalls',
    promise:
      'a camera that stalls is told within two intervals and 2 s and started again; others are unaffected',
    times: { full: 10, fast: 1 },
    inject: (times) => seeThrough(times, { behaviour: 'stall=15', noticed: toldStalled }),
  }),
  define({
    name: 'camera-dies',
    promise: 'a camera program that dies is started again; others are unaffected',
    times: { full: 10, fast: 1 },
    inject: (times) =>
      seeThrough(times, { behaviour: 'frames=10,tail', noticed: failedWith('CAPTURE_ENDED') }),
  }),
  define({
    name: 'camera-changes-size',
    promise: 'a camera whose pictures change their size is started again; others are unaffected',
    times: { full: 10, fast: 1 },
    inject: (times) =>
      seeThrough(times, { behaviour: 'resize=10:192x128', noticed: failedWith('CAPTURE_FRAME_SIZE') }),
  }),
  define({
    name: 'camera-gives-garbage',
    promise: 'a camera that gives garbage is started again; others are unaffected',
    times: { full: 10, fast: 1 },
    inject: (times) => seeThrough(times, { behaviour: 'garbage', noticed: failedWith('CAPTURE_FRAME_SIZE') }),
  }),
  define({
    name: 'camera-floods',
    promise: 'a camera program that floods its standard error costs one line a second; others are unaffected',
    times: { full: 5, fast: 1 },
    inject: (times) =>
      inLab(labOptions(), async (lab) => {
        for (let fault = 0; fault < times; fault++) {
          writeFileSync(join(lab.folder, 'camera'), 'flood');
          await lab.start();
          await lab.daemon.line(({ camera, msg }) => camera === 'yard' && msg === 'camera is online');
          const since = lab.recorder.messages.length;
          const logged = lab.daemon.log.length;
          await delay(4000);
          const lines = lab.daemon.log
            .slice(logged)
            .filter(({ level, camera }) => level === 'warn' && camera === 'yard');
          assert.ok(lines.length >= 2 && lines.length <= 6, `${lines.length} lines in 4 s`);
          await othersUnaffected(lab, since);
          lab.observe();
          assert.equal((await lab.daemon.stop()).code, 0);
        }
        const { lost, duplicated, events } = await lab.balance();
        return { injected: times, lost, duplicated, recovery: [], notes: `${events} events` };
      }),
  }),
  define({
    name: 'camera-hangs-in-kernel',
    promise: 'a camera program in state D is left behind; it blocks neither others nor the end of Lookout',
    times: { full: 10, fast: 1 },
    skip: requiresStuckDevice(),
    inject: async (times) => {
      const device = await StuckDevice.start();
      try {
        return await seeThrough(
          times,
          {
            behaviour: 'stuck=15',
            noticed: async (lab) => {
              await toldStalled(lab);
              await lab.daemon.line((line) => line.camera === 'yard' && line.code === 'CAPTURE_HANGING');
            },
          },
          device,
        );
      } finally {
        await device.stop();
      }
    },
  }),
  define({
    name: 'camera-needs-new-process',
    promise:
      'when no camera can be started any more, Lookout looks for its devices and ends for the service manager',
    times: { full: 3, fast: 0 },
    skip: requiresStuckDevice(),
    inject: async (times) => {
      const device = await StuckDevice.start();
      const systemd = new ServiceManager();
      const { env, files, settings } = labOptions({ FAKE_CAMERA_DEVICE: device.path });
      try {
        const options: LabOptions = {
          settings: { ...settings, cameras: { yard: { ...yard, stall: 1 } } },
          ...(files ? { files } : {}),
          env: (folder) => {
            const base = typeof env === 'function' ? env(folder) : {};
            const { PATH, ...manager } = systemd.env(30_000);
            return { ...base, ...manager, PATH: `${base.PATH}:${PATH}` };
          },
        };
        return await inLab(options, async (lab) => {
          const recovery: number[] = [];
          for (let fault = 0; fault < times; fault++) {
            writeFileSync(join(lab.folder, 'camera'), 'stuck=3');
            await lab.start();
            const began = performance.now();
            const exit = await lab.daemon.exited;
            assert.equal(exit.code, 70);
            const said = lab.daemon.log.map(({ msg }) => msg);
            assert.ok(
              said.some((msg) => msg.startsWith('cameras found on this machine')),
              said.join('\n'),
            );
            assert.ok(said.some((msg) => msg.includes('only a new process can help')));
            recovery.push(performance.now() - began);
          }
          writeFileSync(join(lab.folder, 'camera'), '');
          await lab.start();
          lab.observe();
          assert.equal((await lab.daemon.stop()).code, 0);
          const { lost, duplicated, events } = await lab.balance('yard');
          return { injected: times, lost, duplicated, recovery, notes: `${events} events` };
        });
      } finally {
        await device.stop();
      }
    },
  }),
];
