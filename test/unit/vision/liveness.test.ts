import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Liveness } from '../../../src/vision/liveness.ts';
import { FakeClock } from '../../fakes/clock.ts';

function watch() {
  const clock = new FakeClock();
  const hangs: number[] = [];
  const liveness = new Liveness(clock, (silentMs) => hangs.push(silentMs));
  liveness.restart();
  return { clock, hangs, liveness };
}

/** The first answer, which may take longer than others, and the ones after it. */
function answer(liveness: Liveness, ...times: number[]): void {
  for (const ms of times) {
    liveness.sent();
    liveness.answered(ms);
  }
}

/** Lets time pass as a process sees it that is not held up. */
function pass(clock: FakeClock, ms: number): void {
  for (let left = ms; left > 0; left -= 50) clock.advance(50);
}

test('threads that return nothing for three seconds with a frame in flight are reported as hanging once', () => {
  const { clock, hangs, liveness } = watch();
  answer(liveness, 2000, 20);
  pass(clock, 60_000);
  assert.deepEqual(hangs, [], 'without a frame there is nothing to be silent about');
  liveness.sent();
  pass(clock, 2500);
  assert.deepEqual(hangs, []);
  pass(clock, 10_000);
  assert.equal(hangs.length, 1);
  assert.ok(hangs[0]! >= 3000 && hangs[0]! <= 3500, `${hangs}`);
});

test('the first result may take longer, but less so after a restart', () => {
  const { clock, hangs, liveness } = watch();
  liveness.sent();
  pass(clock, 29_000);
  assert.deepEqual(hangs, []);
  liveness.answered(29_000);
  answer(liveness, 20);
  liveness.restart();
  liveness.sent();
  pass(clock, 7500);
  assert.deepEqual(hangs, []);
  pass(clock, 1000);
  assert.equal(hangs.length, 1);
});

test('a slow model is given ten times as long as its usual frame, and one slow frame does not count', () => {
  const { clock, hangs, liveness } = watch();
  answer(liveness, 1000, 1000);
  liveness.sent();
  pass(clock, 9500);
  assert.deepEqual(hangs, []);
  pass(clock, 1000);
  assert.equal(hangs.length, 1);

  const quick = watch();
  answer(quick.liveness, 20, 20, 20, 2000, 20);
  quick.liveness.sent();
  pass(quick.clock, 3500);
  assert.equal(quick.hangs.length, 1);
});

test('after the first answer, before it is known how long others take, the second may take as long as after a restart', () => {
  const { clock, hangs, liveness } = watch();
  answer(liveness, 5000);
  liveness.sent();
  pass(clock, 7500);
  assert.deepEqual(hangs, []);
  pass(clock, 1000);
  assert.equal(hangs.length, 1);
});

test('a process that was itself stopped does not count that time as silence', () => {
  const { clock, hangs, liveness } = watch();
  answer(liveness, 20, 20);
  liveness.sent();
  let stopped = 0;
  const clockWhileStopped = clock.monotonic;
  clock.monotonic = () => clockWhileStopped() + stopped;
  stopped = 600_000;
  pass(clock, 1000);
  assert.deepEqual(hangs, []);
  liveness.answered(20);
});
