import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FramePool } from '../../../src/capture/frame-pool.ts';
import { CameraSupervisor, type SupervisorOptions } from '../../../src/capture/supervisor.ts';
import { LookoutError } from '../../../src/errors.ts';
import type { Frame } from '../../../src/types.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeLog } from '../../fakes/log.ts';
import { FakeSource } from '../../fakes/source.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));

async function supervised(options: Partial<SupervisorOptions> = {}, start = true) {
  const clock = new FakeClock();
  const log = new FakeLog();
  const source = new FakeSource();
  const frames: Frame[] = [];
  const statuses: string[] = [];
  const ends: number[] = [];
  const pool = new FramePool();
  const supervisor = new CameraSupervisor({
    name: 'yard',
    source: () => source,
    pool,
    clock,
    log: log.logger,
    random: () => 0.5,
    intervalMs: 200,
    onFailures: () => {},
    stallMs: 10_000,
    onFrame: (frame) => frames.push(frame),
    consumed: async () => {},
    onStatus: (status) => statuses.push(status),
    onEnd: () => ends.push(clock.monotonic()),
    ...options,
  });
  if (start) await supervisor.start();
  await settle();
  return { clock, log, source, frames, statuses, ends, pool, supervisor };
}

const broken = new LookoutError('CAPTURE_ENDED', 'rpicam-vid ended (exit code 1)');

test('frames become frames with a number and both times, and the camera is online', async () => {
  const { clock, source, frames, statuses, supervisor } = await supervised();
  const data = source.now.frame();
  clock.advance(100);
  source.now.frame();
  assert.deepEqual(statuses, ['online']);
  assert.equal(supervisor.status, 'online');
  assert.equal(supervisor.counters.frames, 2);
  assert.deepEqual(
    frames.map(({ camera, seq, monotonic }) => ({ camera, seq, monotonic })),
    [
      { camera: 'yard', seq: 0, monotonic: 0 },
      { camera: 'yard', seq: 1, monotonic: 100 },
    ],
  );
  assert.equal(frames[0]?.data, data);
  assert.equal((frames[1]?.capturedAt ?? 0) - (frames[0]?.capturedAt ?? 0), 100);
  await supervisor.stop();
});

test('a failing source is restarted after 1, 2, 4 … seconds, at most 60', async () => {
  const { clock, source, supervisor, statuses, log } = await supervised();
  const waits: number[] = [];
  for (let run = 1; run <= 9; run++) {
    source.now.fail(broken);
    await settle();
    const failed = clock.monotonic();
    while (source.runs.length === run) await clock.advanceAsync(500);
    waits.push(clock.monotonic() - failed);
  }
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]);
  assert.equal(supervisor.counters.restarts, 9);
  assert.deepEqual(statuses, [], 'it was offline all the time');
  assert.equal(log.withCode('CAPTURE_ENDED').length, 9);
  assert.match(log.withCode('CAPTURE_ENDED')[1]?.msg ?? '', /exit code 1.*restarting the source in 2\.0 s/);
  await supervisor.stop();
});

test('a rejected login is retried three times, then every ten minutes, and logged once', async () => {
  const { clock, source, supervisor, log } = await supervised();
  const refused = new LookoutError('CAPTURE_REFUSED', 'the camera rejects the user or password', {
    hint: 'x',
  });
  const waits: number[] = [];
  for (let run = 1; run <= 5; run++) {
    source.now.fail(refused);
    await settle();
    const failed = clock.monotonic();
    while (source.runs.length === run) await clock.advanceAsync(500);
    waits.push(clock.monotonic() - failed);
  }
  assert.deepEqual(waits, [1000, 2000, 600_000, 600_000, 600_000]);
  const lines = log.withCode('CAPTURE_REFUSED');
  assert.deepEqual(
    lines.map(({ level }) => level >= 40),
    [true, false, false, false, false],
  );
  assert.match(lines[0]?.msg ?? '', /restarting the source in 1\.0 s, later every 10 min$/);
  await supervisor.stop();
});

test('earlier failures of other kinds do not use up the retries of a login', async () => {
  const { clock, source, supervisor } = await supervised();
  const refused = new LookoutError('CAPTURE_REFUSED', 'the camera rejects the user or password');
  const fail = async (error: LookoutError) => {
    const runs = source.runs.length;
    source.now.fail(error);
    await settle();
    const failed = clock.monotonic();
    while (source.runs.length === runs) await clock.advanceAsync(500);
    return clock.monotonic() - failed;
  };
  for (let i = 0; i < 3; i++) await fail(broken);
  assert.ok((await fail(refused)) <= 60_000);
  assert.ok((await fail(refused)) <= 60_000);
  assert.equal(await fail(refused), 600_000);
  // A camera that gave frames in between has taken the login.
  source.now.frame();
  assert.ok((await fail(refused)) <= 60_000);
  await supervisor.stop();
});

for (const [random, expected] of [
  [0, 750],
  [1, 1250],
] as const) {
  test(`the wait is jittered by a quarter: ${expected} ms at the edge`, async () => {
    const { clock, source, supervisor } = await supervised({ random: () => random });
    source.now.fail(broken);
    await settle();
    await clock.advanceAsync(expected - 1);
    assert.equal(source.runs.length, 1);
    await clock.advanceAsync(1);
    assert.equal(source.runs.length, 2);
    await supervisor.stop();
  });
}

test('a permanent failure is logged once and retried every minute', async () => {
  const seen: unknown[] = [];
  const { clock, source, supervisor, log } = await supervised({
    onFailures: (failures, error) => seen.push([failures, error]),
  });
  const missing = new LookoutError('CAPTURE_PROGRAM_MISSING', 'expected ffmpeg', { hint: 'install it' });
  const warnings = () =>
    log
      .withCode('CAPTURE_PROGRAM_MISSING')
      .filter(({ level }) => level === 40)
      .map(({ msg }) => msg);
  for (let run = 1; run <= 3; run++) {
    source.now.fail(missing);
    await settle();
    await clock.advanceAsync(59_000, 1000);
    assert.equal(source.runs.length, run);
    await clock.advanceAsync(1000);
    assert.equal(source.runs.length, run + 1);
  }
  assert.deepEqual(warnings(), ['expected ffmpeg; retrying every 60 s']);
  assert.deepEqual(seen, [
    [1, missing],
    [2, missing],
    [3, missing],
  ]);
  source.now.frame();
  source.now.fail(missing);
  await settle();
  assert.equal(warnings().length, 2, 'it is news after a frame');
  await supervisor.stop();
});

test('after a minute of frames the next failure waits one second again', async () => {
  const { clock, source, supervisor } = await supervised();
  for (let i = 0; i < 3; i++) {
    source.now.fail(broken);
    await settle();
    await clock.advanceAsync(60_000);
  }
  assert.equal(source.runs.length, 4);
  for (let i = 0; i <= 60; i++) {
    source.now.frame();
    await clock.advanceAsync(1000);
  }
  source.now.fail(broken);
  await settle();
  await clock.advanceAsync(1000);
  assert.equal(source.runs.length, 5);
  await supervisor.stop();
});

test('a source that falls silent is stalled soon, aborted later, and restarted', async () => {
  const { clock, source, statuses, supervisor, log } = await supervised();
  source.now.frame();
  await clock.advanceAsync(200);
  source.now.frame();
  await clock.advanceAsync(1750, 50);
  assert.deepEqual(statuses, ['online']);
  await clock.advanceAsync(500, 50);
  assert.deepEqual(statuses, ['online', 'stalled'], 'within two intervals and two seconds');
  await clock.advanceAsync(7250, 250);
  assert.equal(source.now.signal.aborted, false);
  await clock.advanceAsync(1000, 250);
  assert.deepEqual(statuses, ['online', 'stalled']);
  assert.equal(source.runs[0]!.signal.aborted, true);
  assert.deepEqual(log.withCode('CAPTURE_STALLED').length, 1);
  await clock.advanceAsync(1000);
  assert.equal(source.runs.length, 2);
  assert.equal(supervisor.status, 'stalled');
  source.now.frame();
  assert.deepEqual(statuses, ['online', 'stalled', 'online']);
  assert.deepEqual(supervisor.counters, { frames: 3, faults: 0, restarts: 1, stalls: 1 });
  await supervisor.stop();
});

test('a source that is slower than the settings is not stalled', async () => {
  const { clock, source, statuses, supervisor } = await supervised();
  for (let frame = 0; frame < 60; frame++) {
    source.now.frame();
    await clock.advanceAsync(frame < 30 ? 1800 : 3000, 100);
  }
  assert.deepEqual(statuses, ['online']);
  await supervisor.stop();
});

test('failures in a row are counted until a frame arrives', async () => {
  const counts: number[] = [];
  const { clock, source, supervisor } = await supervised({ onFailures: (failures) => counts.push(failures) });
  for (let run = 1; run <= 3; run++) {
    source.now.fail(broken);
    await settle();
    while (source.runs.length === run) await clock.advanceAsync(500);
  }
  source.now.frame();
  source.now.frame();
  assert.deepEqual(counts, [1, 2, 3, 0]);
  await supervisor.stop();
});

test('a source that never delivers a frame is also stalled', async () => {
  const { clock, statuses, supervisor } = await supervised();
  await clock.advanceAsync(11_000, 1000);
  assert.deepEqual(statuses, ['stalled']);
  await supervisor.stop();
});

test('a source that waits for the analysis is not stalled', async () => {
  let analysed = () => {};
  const consumed = () => new Promise<void>((resolve) => (analysed = resolve));
  const { clock, source, statuses, supervisor } = await supervised({ consumed });
  source.now.frame();
  const waiting = source.now.sink.consumed();
  await clock.advanceAsync(60_000, 1000);
  assert.deepEqual(statuses, ['online']);
  analysed();
  await waiting;
  await clock.advanceAsync(1500, 250);
  assert.deepEqual(statuses, ['online']);
  await clock.advanceAsync(1000, 250);
  assert.deepEqual(statuses, ['online', 'stalled']);
  await supervisor.stop();
});

test('waiting for the analysis ends when the source is aborted', async () => {
  const { source, supervisor } = await supervised({ consumed: () => new Promise(() => {}) });
  const waiting = source.now.sink.consumed();
  await supervisor.stop();
  await waiting;
});

test('the end of a source is reported once and the source is not restarted', async () => {
  const { clock, source, statuses, ends, supervisor } = await supervised();
  source.now.frame();
  source.now.end();
  await settle();
  await clock.advanceAsync(120_000, 10_000);
  assert.equal(ends.length, 1);
  assert.equal(source.runs.length, 1);
  assert.deepEqual(statuses, ['online', 'offline']);
  await supervisor.stop();
});

test('frames of a run that was aborted go back to the pool', async () => {
  const { clock, source, frames, pool, supervisor } = await supervised();
  const first = source.now;
  await clock.advanceAsync(11_000, 1000);
  const late = first.frame();
  assert.equal(frames.length, 0);
  assert.equal(pool.acquire(6), late);
  await supervisor.stop();
});

test('the signal of a failed run aborts for all remaining listeners', async () => {
  const { source, supervisor } = await supervised();
  const { signal, fail } = source.now;
  assert.equal(signal.aborted, false);
  fail(new Error('gone'));
  await settle();
  assert.equal(signal.aborted, true);
  await supervisor.stop();
});

test('faults are counted each and logged once a second', async () => {
  const { clock, source, supervisor, log } = await supervised();
  for (let i = 0; i < 100; i++) source.now.sink.fault(`fault ${i}`);
  clock.advance(1000);
  assert.equal(supervisor.counters.faults, 100);
  const said = log.lines.filter(({ msg }) => msg.startsWith('fault'));
  assert.deepEqual(
    said.map(({ msg, faults }) => [msg, faults]),
    [
      ['fault 0', undefined],
      ['fault 99', 99],
    ],
  );
  await supervisor.stop();
});

test('stopping waits until the source has really ended', async () => {
  const { source, supervisor, statuses } = await supervised({
    source: () => ({
      description: 'slow to end',
      run: (_, signal) =>
        new Promise((resolve) => signal.addEventListener('abort', () => setTimeout(resolve, 20))),
    }),
  });
  let stopped = false;
  const stop = supervisor.stop().then(() => {
    stopped = true;
  });
  await settle();
  assert.equal(stopped, false);
  await stop;
  assert.deepEqual([source.runs.length, statuses], [0, []]);
});

test('stopping during the backoff ends it immediately', async () => {
  const { clock, source, supervisor } = await supervised();
  source.now.fail(broken);
  await settle();
  await supervisor.stop();
  await clock.advanceAsync(60_000);
  assert.equal(source.runs.length, 1);
});

test('a camera that is turned off uses nothing until it is turned on again', async () => {
  const { clock, source, supervisor, statuses } = await supervised();
  source.now.frame();
  await supervisor.setEnabled(false);
  assert.equal(source.now.signal.aborted, true);
  await clock.advanceAsync(60_000);
  assert.equal(source.runs.length, 1);
  await supervisor.setEnabled(true);
  await settle();
  assert.equal(source.runs.length, 2);
  source.now.frame();
  assert.deepEqual(statuses, ['online', 'disabled', 'offline', 'online']);
  await supervisor.stop();
});

test('a camera that is off from the beginning is not started', async () => {
  const { source, supervisor, statuses } = await supervised({}, false);
  await supervisor.setEnabled(false);
  await supervisor.start();
  await settle();
  assert.deepEqual([source.runs.length, statuses], [0, ['disabled']]);
  await supervisor.stop();
});

test('turning a camera off and on quickly leaves one source running', async () => {
  const { source, supervisor } = await supervised();
  await Promise.all([
    supervisor.setEnabled(false),
    supervisor.setEnabled(true),
    supervisor.setEnabled(false),
    supervisor.setEnabled(true),
  ]);
  await settle();
  const live = source.runs.filter(({ signal }) => !signal.aborted);
  assert.equal(live.length, 1);
  assert.notEqual(supervisor.status, 'disabled');
  await supervisor.stop();
});

test('a source that cannot be created counts as a failure', async () => {
  const { clock, supervisor, log } = await supervised({ source: () => Promise.reject(broken) });
  await clock.advanceAsync(1000);
  assert.equal(supervisor.counters.restarts, 1);
  assert.equal(log.withCode('CAPTURE_ENDED').length, 2);
  await supervisor.stop();
});

test('an error of unknown kind is logged with its stack and the camera continues', async () => {
  const { clock, source, supervisor, log } = await supervised();
  source.now.fail(new RangeError('a bug'));
  await settle();
  const line = log.lines.find(({ err }) => err !== undefined);
  assert.match(JSON.stringify(line?.err), /a bug.*stack/);
  await clock.advanceAsync(1000);
  assert.equal(source.runs.length, 2);
  await supervisor.stop();
});
