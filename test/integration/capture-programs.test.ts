/** The camera programs, played by fakes as real processes. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSource } from '../../src/capture/create.ts';
import { FramePool } from '../../src/capture/frame-pool.ts';
import { CameraSupervisor } from '../../src/capture/supervisor.ts';
import { type SourceConfig, sourceSchema } from '../../src/config/sources.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { FakeLog } from '../fakes/log.ts';
import { FakeSink, plane } from '../fakes/sink.ts';
import {
  fakeContext,
  fakeEnv,
  isRunning,
  programFolder,
  temporaryFolder,
  until,
} from '../support/programs.ts';

const libcamera = { kind: 'libcamera', width: 160, height: 120, fps: 50 };
const gstreamer = { kind: 'gstreamer', width: 164, height: 120, fps: 50 };

/** Runs a source until it has given `frames`, or until it ends by itself. */
async function capture(config: object, behaviour: string, frames: number) {
  const context = fakeContext(behaviour);
  const source = await createSource(sourceSchema.parse(config), context);
  const sink = new FakeSink();
  const abort = new AbortController();
  const run = source.run(sink, abort.signal);
  await Promise.race([sink.reaches(frames), run]);
  abort.abort();
  await run;
  return { sink, log: context.fakeLog };
}

/** A supervised camera whose program behaves differently at each start; the last behaviour stays. */
function supervise(t: TestContext, config: object, behaviours: string[], stallMs = 60_000) {
  const log = new FakeLog();
  const statuses: string[] = [];
  const pool = new FramePool();
  let start = 0;
  const supervisor = new CameraSupervisor({
    name: 'yard',
    source: () => {
      const env = fakeEnv(behaviours[Math.min(start++, behaviours.length - 1)]);
      return createSource(sourceSchema.parse(config), { clock: systemClock, log: log.logger, env });
    },
    pool,
    clock: systemClock,
    log: log.logger,
    random: () => 0,
    intervalMs: 200,
    onFailures: () => {},
    stallMs,
    onFrame: (frame) => pool.release(frame.data),
    consumed: async () => {},
    onStatus: (status) => statuses.push(status),
    onEnd: () => {},
  });
  t.after(() => supervisor.stop());
  return { supervisor, log, statuses };
}

test('libcamera video: rows padded to 64 bytes become tight frames', async () => {
  const { sink } = await capture(libcamera, '', 3);
  for (const [number, frame] of sink.frames.slice(0, 3).entries()) {
    assert.deepEqual(frame.format, { width: 160, height: 120, pixels: 'i420', colour: 'jpeg' });
    assert.equal(frame.data.byteLength, (160 * 120 * 3) / 2);
    for (const [row, bytes] of plane(frame, 'y').entries()) {
      assert.deepEqual(bytes, Buffer.alloc(160, number + row));
    }
    for (const bytes of plane(frame, 'u')) assert.deepEqual(bytes, Buffer.alloc(80, 100));
    for (const bytes of plane(frame, 'v')) assert.deepEqual(bytes, Buffer.alloc(80, 200));
  }
  assert.equal(sink.out.size, 0, 'every buffer is accounted for');
});

test('libcamera video: libcamera-vid of bullseye is used where there is no rpicam-vid', async (t) => {
  const env = fakeEnv('', await programFolder(t, { 'libcamera-vid': 'rpicam-vid' }));
  const source = await createSource(sourceSchema.parse(libcamera), { ...fakeContext(), env });
  const sink = new FakeSink();
  const abort = new AbortController();
  const run = source.run(sink, abort.signal);
  await sink.reaches(1);
  abort.abort();
  await run;
});

test('libcamera video: a missing program is named with its package', async () => {
  const source = await createSource(sourceSchema.parse(libcamera), {
    ...fakeContext(),
    env: { PATH: '/nowhere' },
  });
  await assert.rejects(source.run(new FakeSink(), new AbortController().signal), {
    code: 'CAPTURE_PROGRAM_MISSING',
    message: /rpicam-vid or libcamera-vid not found on the PATH/,
    hint: /apt install rpicam-apps/,
  });
});

test('libcamera video: the error of a program that dies contains its last lines', async () => {
  await assert.rejects(capture(libcamera, 'frames=3', 100), {
    code: 'CAPTURE_ENDED',
    message: 'rpicam-vid ended (exit code 255): ERROR: *** camera frontend has timed out ***',
  });
});

test('libcamera video: a camera that another program uses is a fault of the device', async () => {
  await assert.rejects(capture(libcamera, 'busy', 1), {
    code: 'CAPTURE_DEVICE',
    message: /failed to acquire camera/,
    hint: /no other program uses the camera/,
  });
});

test('libcamera video: a truncated last frame is counted and its buffer released', async () => {
  const context = fakeContext('frames=2,tail');
  const source = await createSource(sourceSchema.parse(libcamera), context);
  const sink = new FakeSink();
  await assert.rejects(source.run(sink, new AbortController().signal), { code: 'CAPTURE_ENDED' });
  assert.equal(sink.frames.length, 2);
  assert.deepEqual(sink.faults, ['rpicam-vid: the last frame was truncated']);
  assert.equal(sink.out.size, 0);
});

test('libcamera video: a camera that was set to another size is rejected with the right size', async () => {
  await assert.rejects(capture(libcamera, 'configured=128x96', 1000), {
    code: 'CAPTURE_FRAME_SIZE',
    message: /expected frames of 160×120, the camera sends 128×96/,
    hint: /width: 128/,
  });
});

const slow = { ...libcamera, fps: 12 };

for (const [what, behaviour] of [
  ['half of a frame got lost', 'cut=2'],
  ['the frames became smaller', 'resize=2:96x80'],
] as const) {
  test(`libcamera video: the stream is reported as out of sync when ${what}`, async () => {
    await assert.rejects(capture(slow, behaviour, 100), {
      code: 'CAPTURE_FRAME_SIZE',
      message: /out of sync/,
    });
  });
}

test('libcamera video: a flood on stderr neither stops the frames nor fills the log', async () => {
  const start = performance.now();
  const { sink, log } = await capture({ ...libcamera, fps: 20 }, 'flood', 30);
  assert.ok(sink.frames.length >= 30);
  const said = log.lines.filter(({ level, msg }) => level >= 40 && msg.startsWith('rpicam-vid:'));
  const most = (performance.now() - start) / 1000 + 2;
  assert.ok(said.length >= 1 && said.length <= most, `${said.length} lines`);
});

test('libcamera video: the camera recovers from a program that dies', async (t) => {
  const { supervisor, statuses } = supervise(t, libcamera, ['frames=2', '']);
  await supervisor.start();
  await until(() => supervisor.counters.frames >= 4, 'frames of the second start');
  assert.equal(supervisor.counters.restarts, 1);
  assert.deepEqual(statuses, ['online', 'offline', 'online']);
});

test('libcamera video: the camera recovers from a program that falls silent, other cameras continue', async (t) => {
  const silent = supervise(t, libcamera, ['stall=2', ''], 3000);
  const other = supervise(t, libcamera, [''], 3000);
  await silent.supervisor.start();
  await other.supervisor.start();
  await until(() => silent.supervisor.counters.frames >= 4, 'frames of the second start');
  assert.deepEqual(silent.statuses, ['online', 'stalled', 'online']);
  assert.equal(silent.supervisor.counters.stalls, 1);
  assert.equal(silent.log.withCode('CAPTURE_STALLED').length, 1);
  assert.deepEqual(other.statuses, ['online']);
  assert.deepEqual(other.supervisor.counters.restarts, 0);
});

test('after stop nothing of a camera program is left, though it ignores SIGTERM and has a child', async (t) => {
  const pidFile = join(await temporaryFolder(t), 'pids');
  const env = { ...fakeEnv('deaf,offspring'), FAKE_CAMERA_PIDS: pidFile };
  const source = await createSource(sourceSchema.parse(libcamera), { ...fakeContext(), env });
  const sink = new FakeSink();
  const abort = new AbortController();
  const run = source.run(sink, abort.signal);
  await sink.reaches(2);
  const pids = (await readFile(pidFile, 'utf8')).trim().split('\n').map(Number);
  assert.equal(pids.length, 2);
  for (const pid of pids) assert.equal(await isRunning(pid), true);
  abort.abort();
  await run;
  for (const pid of pids) await until(async () => !(await isRunning(pid)), `${pid} ends`, 1000);
});

test('gstreamer: the Jetson pipeline delivers frames although its source prints to stdout', async () => {
  const { sink } = await capture(gstreamer, '', 2);
  const [frame] = sink.frames;
  assert.deepEqual(frame?.format, { width: 164, height: 120, pixels: 'i420', colour: 'bt601' });
  assert.deepEqual(plane(frame!, 'y')[7], Buffer.alloc(164, 7));
  assert.deepEqual(plane(frame!, 'u')[59], Buffer.alloc(82, 100));
  assert.deepEqual(plane(frame!, 'v')[59], Buffer.alloc(82, 200));
});

test('gstreamer: a custom pipeline delivers frames on stdout', async () => {
  const caps = 'video/x-raw,format=I420,width=164,height=120,framerate=50/1';
  const pipeline = ['videotestsrc', '!', caps, '!', 'fdsink', 'fd=1'];
  const { sink } = await capture({ ...gstreamer, pipeline }, '', 2);
  assert.deepEqual(plane(sink.frames[1]!, 'y')[0], Buffer.alloc(164, 1));
});

test('gstreamer: the error of a wrong pipeline contains the message of the program', async () => {
  await assert.rejects(capture({ ...gstreamer, pipeline: ['videotestsrc'] }, '', 1), {
    code: 'CAPTURE_ENDED',
    message: /gst-launch-1\.0 ended \(exit code 1\): WARNING: erroneous pipeline/,
  });
});

/** Runs `take` with the fake programs on this process's own PATH, from which node-libcamera takes them. */
async function withFakes<T>(behaviour: string, take: () => Promise<T>): Promise<T> {
  const before = { ...process.env };
  Object.assign(process.env, fakeEnv(behaviour));
  try {
    return await take();
  } finally {
    process.env = before;
  }
}

const still: SourceConfig = sourceSchema.parse({ ...libcamera, mode: 'still', interval: 2 });

test('libcamera still: a still is taken through rpicam-still and decoded', async () => {
  await withFakes('', async () => {
    const before = process.env.PATH;
    const { sink } = await capture(still, '', 1);
    assert.equal(process.env.PATH, before, 'the PATH is as it was');
    const [frame] = sink.frames;
    assert.deepEqual(frame?.format, { width: 160, height: 120, pixels: 'rgb24', colour: 'jpeg' });
    const [red = 0, green = 0, blue = 0] = new Uint8Array(frame?.data ?? new ArrayBuffer(0));
    assert.ok(red > 215 && green < 45 && blue < 30, `${red} ${green} ${blue}`);
  });
});

test('libcamera still: a damaged JPEG is counted and the next still is taken', async () => {
  await withFakes('corrupt', async () => {
    const source = await createSource(still, fakeContext('corrupt'));
    const sink = new FakeSink();
    const abort = new AbortController();
    const run = source.run(sink, abort.signal);
    await until(() => sink.faults.length > 0, 'the fault');
    process.env.FAKE_CAMERA = '';
    await sink.reaches(1);
    abort.abort();
    await run;
    assert.match(sink.faults[0] ?? '', /cannot decode/);
  });
});

test('libcamera still: a camera that another program uses is a fault of the device', async () => {
  await withFakes('busy', async () => {
    await assert.rejects(capture(still, 'busy', 1), {
      code: 'CAPTURE_DEVICE',
      message: /failed to acquire camera/,
    });
  });
});

for (const behaviour of ['hang', 'hang,deaf']) {
  test(`libcamera still: stopping ends a program that does not exit on its own (${behaviour})`, async (t) => {
    const pidFile = join(await temporaryFolder(t), 'pids');
    await withFakes(behaviour, async () => {
      process.env.FAKE_CAMERA_PIDS = pidFile;
      const source = await createSource(still, fakeContext(behaviour));
      const abort = new AbortController();
      const run = source.run(new FakeSink(), abort.signal);
      let pid = 0;
      await until(async () => {
        pid = Number(await readFile(pidFile, 'utf8').catch(() => '0'));
        return pid > 0;
      }, 'the program starts');
      abort.abort();
      await run;
      assert.equal(await isRunning(pid), false);
    });
  });
}
