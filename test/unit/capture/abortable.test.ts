import assert from 'node:assert/strict';
import { test } from 'node:test';
import { orAborted, Pacer } from '../../../src/capture/abortable.ts';
import { sleep } from '../../../src/runtime/clock.ts';
import { FakeClock } from '../../fakes/clock.ts';

test('a sleep ends with its time or with the signal, whichever is first', async () => {
  const clock = new FakeClock();
  const abort = new AbortController();
  const timed = sleep(clock, 100, abort.signal);
  clock.advance(100);
  await timed;
  const aborted = sleep(clock, 100, abort.signal);
  abort.abort();
  await aborted;
  await sleep(clock, 100, abort.signal);
});

test('waiting for a promise ends with its result, its error, or the signal', async () => {
  const abort = new AbortController();
  await orAborted(Promise.resolve(), abort.signal);
  await assert.rejects(orAborted(Promise.reject(new Error('no')), abort.signal), /no/);
  const never = orAborted(new Promise(() => {}), abort.signal);
  abort.abort();
  await never;
});

test('frames pass at a steady rate, the first one immediately', async () => {
  const clock = new FakeClock();
  const { signal } = new AbortController();
  const pacer = new Pacer(clock, 10);
  const times: number[] = [];
  const play = (async () => {
    for (let i = 0; i < 4; i++) {
      await pacer.next(signal);
      times.push(clock.monotonic());
    }
  })();
  await new Promise((resolve) => setImmediate(resolve));
  await clock.advanceAsync(400, 50);
  await play;
  assert.deepEqual(times, [0, 100, 200, 300]);
});

test('a frame that is very late restarts the schedule instead of causing a burst', async () => {
  const clock = new FakeClock();
  const { signal } = new AbortController();
  const pacer = new Pacer(clock, 10);
  await pacer.next(signal);
  clock.advance(1000);
  await pacer.next(signal);
  let due = false;
  const next = pacer.next(signal).then(() => {
    due = true;
  });
  await clock.advanceAsync(90);
  assert.equal(due, false);
  await clock.advanceAsync(10);
  await next;
});
