import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Frame } from '../../../src/types.ts';
import { Scheduler } from '../../../src/vision/scheduler.ts';

function frame(camera: string, seq: number): Frame {
  const format = { width: 2, height: 2, pixels: 'i420', colour: 'bt601' } as const;
  return { camera, seq, capturedAt: 0, monotonic: 0, format, data: new ArrayBuffer(6) };
}

test('of each camera only the latest frame waits', () => {
  const scheduler = new Scheduler(['a', 'b'], 2);
  assert.equal(scheduler.offer(frame('a', 0)), null);
  assert.equal(scheduler.offer(frame('b', 0)), null);
  assert.equal(scheduler.offer(frame('a', 1))?.seq, 0);
  assert.deepEqual([scheduler.take()?.seq, scheduler.take()?.seq, scheduler.take()], [1, 0, null]);
});

test('cameras take turns, however fast one of them is', () => {
  const scheduler = new Scheduler(['fast', 'slow', 'other'], 1);
  const taken: string[] = [];
  scheduler.offer(frame('slow', 0));
  scheduler.offer(frame('other', 0));
  for (let round = 0; round < 6; round++) {
    scheduler.offer(frame('fast', round));
    if (round === 3) scheduler.offer(frame('slow', 1));
    taken.push(scheduler.take()!.camera);
    scheduler.done();
  }
  assert.deepEqual(taken, ['fast', 'slow', 'other', 'fast', 'slow', 'fast']);
});

test('no more frames are under way than there are credits', () => {
  const scheduler = new Scheduler(['a', 'b', 'c'], 2);
  for (const camera of ['a', 'b', 'c']) scheduler.offer(frame(camera, 0));
  assert.ok(scheduler.take());
  assert.ok(scheduler.take());
  assert.equal(scheduler.take(), null);
  scheduler.done();
  assert.equal(scheduler.take()?.camera, 'c');
});

test('who waits for a camera to be consumed goes on when its frame is taken or cleared', async () => {
  const scheduler = new Scheduler(['a'], 1);
  await scheduler.consumed('a');
  const order: string[] = [];
  scheduler.offer(frame('a', 0));
  const first = scheduler.consumed('a').then(() => order.push('taken'));
  assert.equal(scheduler.take()?.seq, 0);
  await first;
  scheduler.offer(frame('a', 1));
  assert.equal(scheduler.take(), null);
  const second = scheduler.consumed('a').then(() => order.push('cleared'));
  assert.deepEqual(
    scheduler.clear().map(({ seq }) => seq),
    [1],
  );
  await second;
  assert.deepEqual(order, ['taken', 'cleared']);
  assert.deepEqual(scheduler.clear(), []);
});
