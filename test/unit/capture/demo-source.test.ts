import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demoSource } from '../../../src/capture/demo-source.ts';
import type { FrameSink } from '../../../src/capture/source.ts';
import type { RawFrame } from '../../../src/types.ts';
import { FakeClock } from '../../fakes/clock.ts';

const config = { kind: 'demo', width: 64, height: 64, fps: 5, seed: 1 } as const;

function collector() {
  const frames: RawFrame[] = [];
  const sink: FrameSink = {
    acquire: (bytes) => new ArrayBuffer(bytes),
    release: () => {},
    frame: (frame) => frames.push(frame),
    consumed: async () => {},
    fault: assert.fail,
  };
  return { frames, sink };
}

test('the demo camera delivers frames at its rate until it is stopped', async () => {
  const clock = new FakeClock();
  const { frames, sink } = collector();
  const controller = new AbortController();
  const running = demoSource(config, clock).run(sink, controller.signal);
  clock.advance(1000);
  assert.equal(frames.length, 6);
  assert.deepEqual(frames[0]!.format, { width: 64, height: 64, pixels: 'i420', colour: 'bt601' });
  assert.equal(frames[0]!.data.byteLength, 64 * 64 * 1.5);
  controller.abort();
  await running;
  clock.advance(1000);
  assert.equal(frames.length, 6);
});

test('timers that fire slightly early render no frame twice', async () => {
  const clock = new FakeClock();
  const { after } = clock;
  clock.after = (ms, callback) => after.call(clock, Math.max(1, ms - 0.7), callback);
  const { frames, sink } = collector();
  const controller = new AbortController();
  const running = demoSource(config, clock).run(sink, controller.signal);
  clock.advance(1000);
  assert.equal(frames.length, 6);
  controller.abort();
  await running;
});

test('a demo camera that is stopped before it starts delivers nothing', async () => {
  const { frames, sink } = collector();
  await demoSource(config, new FakeClock()).run(sink, AbortSignal.abort());
  assert.equal(frames.length, 0);
});

test('a failure of the receiver ends the demo camera with it', async () => {
  const { sink } = collector();
  const broken = { ...sink, acquire: () => assert.fail('no buffers') };
  await assert.rejects(
    demoSource(config, new FakeClock()).run(broken, new AbortController().signal),
    /no buffers/,
  );
});
