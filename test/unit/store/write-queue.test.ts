import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { LookoutError } from '../../../src/errors.ts';
import type { Batch, CommitResult } from '../../../src/store/store-types.ts';
import { MAX_WAITING, WriteQueue } from '../../../src/store/write-queue.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { healthSample } from '../../fakes/health.ts';
import { FakeLog } from '../../fakes/log.ts';
import { detection, entry } from '../../support/store.ts';

const DONE: CommitResult = { rejected: [], overSize: false };

/** A queue on a database whose answers and failures the test controls. */
function setup(answer: (batch: Batch) => CommitResult | Promise<CommitResult> = () => DONE) {
  const clock = new FakeClock();
  const log = new FakeLog();
  const batches: Batch[] = [];
  const disk = { answer };
  const queue = new WriteQueue({
    commit: async (entries) => {
      const batch = { ...entries, clocks: [] };
      const result = await disk.answer(batch);
      batches.push(batch);
      return result;
    },
    interval: 5000,
    clock,
    log: log.logger,
  });
  queue.start();
  return { queue, clock, log, batches, disk };
}

const settle = async () => {
  for (let i = 0; i < 5; i++) await setImmediate();
};
const ids = ({ events }: Batch) => events.map(({ change }) => change.event.id);
const fail = (): never => {
  throw new Error('disk full');
};

test('events of the same moment are written immediately, in one transaction', async () => {
  const { queue, batches } = setup();
  const written = ['a', 'b', 'c'].map((id) => queue.addEvent(entry({ id })));
  assert.deepEqual(await Promise.all(written), [true, true, true]);
  assert.deepEqual(batches.map(ids), [['a', 'b', 'c']]);
});

test('entries that arrive during a transaction form the next one', async () => {
  const waiting: (() => void)[] = [];
  const { queue, batches } = setup(() => new Promise((resolve) => waiting.push(() => resolve(DONE))));
  const first = queue.addEvent(entry({ id: 'first' }));
  await settle();
  const later = ['x', 'y', 'z'].map((id) => queue.addEvent(entry({ id })));
  await settle();
  assert.equal(waiting.length, 1);
  waiting.shift()!();
  await first;
  await settle();
  waiting.shift()!();
  await Promise.all(later);
  assert.deepEqual(batches.map(ids), [['first'], ['x', 'y', 'z']]);
});

test('detections, samples and published messages wait for the interval', async () => {
  const { queue, clock, batches } = setup();
  queue.addDetections([detection(), detection()]);
  queue.addSample(healthSample());
  queue.addPublished(7);
  queue.addPublished(4);
  await clock.advanceAsync(4999);
  assert.equal(batches.length, 0);
  await clock.advanceAsync(1);
  await settle();
  assert.equal(batches.length, 1);
  const [{ detections, samples, publishedUpTo }] = batches as [Batch];
  assert.deepEqual([detections.length, samples.length, publishedUpTo], [2, 1, 7]);
  await clock.advanceAsync(20_000, 5000);
  assert.equal(batches.length, 1, 'nothing is pending, nothing is written');
});

test('a full batch of detections does not wait for the interval', async () => {
  const { queue, batches } = setup();
  for (let i = 0; i < 100; i++) {
    queue.addDetections(Array.from({ length: 300 }, () => detection()));
    await setImmediate();
  }
  await settle();
  assert.ok(batches.length >= 10);
  assert.deepEqual(queue.lost, { events: 0, detections: 0 });
});

test('an event is written with everything pending', async () => {
  const { queue, batches } = setup();
  queue.addDetections([detection()]);
  await queue.addEvent(entry());
  assert.equal(batches[0]!.detections.length, 1);
  assert.equal(batches.length, 1);
});

test('a fault is logged once, retried with growing waits, and its end is logged', async () => {
  const { queue, clock, log, batches, disk } = setup(fail);
  let tries = 0;
  disk.answer = () => {
    tries++;
    return fail();
  };
  const written = queue.addEvent(entry({ id: 'kept' }));
  await settle();
  assert.equal(queue.error, 'STORE_UNWRITABLE: disk full');
  assert.equal(queue.waiting, 1);
  const pauses: number[] = [];
  for (let seconds = 0, seen = tries; seconds < 100; seconds++) {
    await clock.advanceAsync(1000);
    await settle();
    if (tries > seen) pauses.push(seconds + 1);
    seen = tries;
  }
  assert.deepEqual(pauses, [1, 3, 7, 15, 31, 61, 91]);
  assert.equal(log.lines.filter(({ level }) => level >= 40).length, 1);

  disk.answer = () => DONE;
  await clock.advanceAsync(30_000);
  assert.equal(await written, true);
  assert.equal(queue.error, null);
  assert.deepEqual(batches.map(ids), [['kept']]);
  assert.match(log.lines.at(-1)!.msg, /can be written again/);
});

test('a fault of the disk is logged with its code and a hint, without a stack', async () => {
  const full = new LookoutError('STORE_FULL', 'no room', { hint: 'Make room.' });
  const { queue, log } = setup(() => Promise.reject(full));
  void queue.addEvent(entry({ id: 'kept' }));
  await settle();
  assert.equal(queue.error, 'STORE_FULL: no room');
  const { code, reason, hint, err } = log.lines.find(({ level }) => level >= 50)!;
  assert.deepEqual(
    { code, reason, hint, err },
    { code: 'STORE_FULL', reason: 'no room', hint: 'Make room.', err: undefined },
  );
});

test('during a fault new events wait for the next attempt and keep their order', async () => {
  const { queue, clock, batches, disk } = setup(fail);
  const written = [queue.addEvent(entry({ id: 'a' }))];
  await settle();
  written.push(queue.addEvent(entry({ id: 'b' })), queue.addEvent(entry({ id: 'c' })));
  await settle();
  disk.answer = () => DONE;
  await clock.advanceAsync(1000);
  await Promise.all(written);
  assert.deepEqual(batches.map(ids), [['a', 'b', 'c']]);
});

test('memory is bounded: the oldest entries are given up and counted, and detections take no room from events', async () => {
  const { queue, disk, clock, batches } = setup(fail);
  const first = queue.addEvent(entry({ id: 'first' }));
  await settle();
  const rest = Array.from({ length: MAX_WAITING.events - 1 }, (_, i) =>
    queue.addEvent(entry({ id: `e${i}` })),
  );
  queue.addDetections(Array.from({ length: MAX_WAITING.detections + 50 }, () => detection()));
  assert.deepEqual(queue.lost, { events: 0, detections: 50 });
  const last = queue.addEvent(entry({ id: 'last' }));
  assert.equal(await first, false);
  assert.deepEqual(queue.lost, { events: 1, detections: 50 });
  assert.equal(queue.waiting, MAX_WAITING.events + MAX_WAITING.detections);

  disk.answer = () => DONE;
  await clock.advanceAsync(1000);
  assert.deepEqual(new Set(await Promise.all([...rest, last])), new Set([true]));
  assert.ok(batches.every(({ events, detections }) => events.length <= 500 && detections.length <= 2000));
  assert.equal(batches.flatMap(ids).length, MAX_WAITING.events);
});

test('a skipped entry is not reported as written', async () => {
  const { queue, log } = setup(() => ({ rejected: [{ event: 1, reason: 'event b: NaN' }], overSize: false }));
  const written = ['a', 'b', 'c'].map((id) => queue.addEvent(entry({ id })));
  assert.deepEqual(await Promise.all(written), [true, false, true]);
  assert.match(log.text, /event b: NaN/);
});

test('stopping writes everything pending', async () => {
  const { queue, batches } = setup();
  queue.addDetections([detection()]);
  const written = queue.addEvent(entry());
  await queue.stop();
  assert.equal(await written, true);
  assert.equal(batches.length, 1);
  assert.equal(await queue.addEvent(entry()), false, 'too late');
});

test('stopping while nothing can be written gives up after one more attempt, and logs that', async () => {
  const { queue, log } = setup(fail);
  const written = queue.addEvent(entry());
  await settle();
  await queue.stop();
  assert.equal(await written, false);
  assert.match(log.lines.at(-1)!.msg, /stopped before everything could be written/);
});

test('a flush waits for one attempt, not for the disk, and the next attempt is made only once', async () => {
  const { queue, clock, disk, batches } = setup(fail);
  const written = queue.addEvent(entry({ id: 'a' }));
  await settle();
  await queue.flush();
  let tries = 0;
  disk.answer = () => {
    tries++;
    return fail();
  };
  await clock.advanceAsync(2000);
  assert.equal(tries, 1);
  disk.answer = () => DONE;
  await clock.advanceAsync(4000);
  assert.equal(await written, true);
  assert.deepEqual(batches.map(ids), [['a']]);
});
