import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Thermals } from '../../../src/board/board.ts';
import { HealthMonitor } from '../../../src/board/health.ts';
import type { Usage } from '../../../src/board/usage.ts';
import type { Analysis } from '../../../src/types.ts';
import { FakeClock } from '../../fakes/clock.ts';

const cool: Thermals = { temperature_c: 48.5, throttled: false, throttle_reasons: [] };
const outbox = { outboxDepth: 0, outboxBytes: 0, outboxDropped: 0 };

function setUp() {
  const clock = new FakeClock();
  const usage: Usage = { cpuMs: 1000, childrenCpuMs: 0, rss: 100 * 2 ** 20, bytesWritten: 4096 };
  const board = { ...cool };
  const monitor = new HealthMonitor({
    cameras: ['driveway', 'garden'],
    clock,
    probes: { usage: async () => ({ ...usage }), thermals: async () => ({ ...board }) },
  });
  /** A frame that the model looked at for so long; null: the gate kept it from the model. */
  const frame = (camera: string, inference: number | null) => {
    monitor.captured(camera);
    const analysis: Analysis = {
      camera,
      seq: 0,
      capturedAt: 0,
      monotonic: 0,
      gate: inference === null ? 'still' : 'motion',
      motion: 0,
      scores:
        inference === null
          ? []
          : [
              {
                region: { box: { x: 0, y: 0, w: 1, h: 1 }, zone: null },
                model: 'm',
                probabilities: new Float32Array(1),
              },
            ],
      times: { motion: 1, resize: 1, inference: inference ?? 0 },
    };
    monitor.frame(camera, analysis);
  };
  return { clock, usage, board, monitor, frame };
}

test('frames are counted per camera and their rate is that of the last interval', async () => {
  const { clock, monitor, frame } = setUp();
  await monitor.start();
  for (let i = 0; i < 300; i++) frame('driveway', i % 3 === 0 ? 10 : null);
  for (let i = 0; i < 30; i++) {
    monitor.captured('garden');
    monitor.dropped('garden');
  }
  clock.advance(60_000);
  const first = await monitor.sample(outbox);
  assert.equal(first.fps, 5.5);
  assert.deepEqual(first.cameras, {
    driveway: { fps: 5, captured: 300, analysed: 100, dropped: 0 },
    garden: { fps: 0.5, captured: 30, analysed: 0, dropped: 30 },
  });
  assert.deepEqual([first.frames_captured, first.frames_analysed, first.frames_dropped], [330, 100, 30]);
  assert.equal(first.uptime_s, 60);
  assert.equal(first.at, clock.now());

  for (let i = 0; i < 60; i++) frame('driveway', null);
  clock.advance(60_000);
  const second = await monitor.sample(outbox);
  assert.equal(second.cameras.driveway?.fps, 1);
  assert.equal(second.cameras.garden?.fps, 0);
  assert.equal(second.frames_captured, 390);
  await monitor.stop();
});

test('inference percentiles are those of the last interval, null when the model was not run', async () => {
  const { clock, monitor, frame } = setUp();
  await monitor.start();
  for (let i = 1; i <= 100; i++) frame('driveway', i);
  clock.advance(1000);
  const first = await monitor.sample(outbox);
  assert.deepEqual([first.inference_ms_p50, first.inference_ms_p90, first.inference_ms_p99], [50, 90, 99]);
  frame('driveway', 7);
  clock.advance(1000);
  assert.equal((await monitor.sample(outbox)).inference_ms_p99, 7);
  frame('driveway', null);
  clock.advance(1000);
  const third = await monitor.sample(outbox);
  assert.deepEqual(
    [third.inference_ms_p50, third.inference_ms_p90, third.inference_ms_p99],
    [null, null, null],
  );
  await monitor.stop();
});

test('percentiles of more frames than are remembered are those of the latest', async () => {
  const { clock, monitor, frame } = setUp();
  await monitor.start();
  for (let i = 0; i < 3000; i++) frame('driveway', 1000);
  for (let i = 0; i < 2048; i++) frame('driveway', 5);
  clock.advance(1000);
  assert.equal((await monitor.sample(outbox)).inference_ms_p99, 5);
  await monitor.stop();
});

test('processor time, memory, bytes written, temperature and outbox are reported in their units', async () => {
  const { clock, usage, board, monitor } = setUp();
  await monitor.start();
  clock.advance(10_000);
  Object.assign(usage, { cpuMs: 3500, childrenCpuMs: 15_000, rss: 150.25 * 2 ** 20, bytesWritten: 8192 });
  Object.assign(board, { temperature_c: 81, throttled: true, throttle_reasons: ['throttled'] });
  const sample = await monitor.sample({ outboxDepth: 12, outboxBytes: 0, outboxDropped: 3 });
  assert.equal(sample.cpu_percent, 25);
  assert.equal(sample.cpu_children_percent, 150);
  assert.equal(sample.rss_mb, 150.3);
  assert.equal(sample.bytes_written, 8192);
  assert.equal(sample.temperature_c, 81);
  assert.equal(sample.throttled, true);
  assert.deepEqual(sample.throttle_reasons, ['throttled']);
  assert.equal(sample.outbox_depth, 12);
  assert.equal(sample.outbox_dropped, 3);
  await monitor.stop();
});

test('unavailable values are null', async () => {
  const { clock, usage, monitor } = setUp();
  Object.assign(usage, { childrenCpuMs: null, bytesWritten: null });
  await monitor.start();
  clock.advance(1000);
  const sample = await monitor.sample(outbox);
  assert.equal(sample.cpu_children_percent, null);
  assert.equal(sample.bytes_written, null);
  await monitor.stop();
});

test('a jump of the wall clock changes no rate', async () => {
  const { clock, monitor, frame } = setUp();
  await monitor.start();
  for (let i = 0; i < 10; i++) frame('driveway', null);
  clock.jump(-3_600_000);
  clock.advance(1000);
  const sample = await monitor.sample(outbox);
  assert.equal(sample.fps, 10);
  assert.equal(sample.uptime_s, 1);
  await monitor.stop();
});

test('progress counts returned frames, and pending the others', () => {
  const { monitor, frame } = setUp();
  frame('driveway', 3);
  monitor.captured('driveway');
  monitor.captured('driveway');
  monitor.dropped('driveway');
  assert.equal(monitor.finished, 1);
  assert.equal(monitor.pending, 1);
});

test('a blocked event loop shows', async () => {
  const { monitor } = setUp();
  await monitor.start();
  await new Promise((resolve) => setTimeout(resolve, 120));
  const end = performance.now() + 200;
  while (performance.now() < end) {}
  await new Promise((resolve) => setTimeout(resolve, 120));
  const sample = await monitor.sample(outbox);
  assert.ok(sample.event_loop_ms_p99 > 30, `${sample.event_loop_ms_p99} ms`);
  assert.ok((await monitor.sample(outbox)).event_loop_ms_p99 < sample.event_loop_ms_p99);
  await monitor.stop();
});

test('a sample survives JSON and all of its keys are snake_case', async () => {
  const { clock, monitor, frame } = setUp();
  await monitor.start();
  frame('driveway', 3);
  clock.advance(1000);
  const sample = await monitor.sample(outbox);
  assert.deepEqual(JSON.parse(JSON.stringify(sample)), sample);
  for (const key of Object.keys(sample)) assert.match(key, /^[a-z0-9]+(_[a-z0-9]+)*$/);
  await monitor.stop();
});
