import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as settle } from 'node:timers/promises';
import { FirstFrame } from '../../src/first-frame.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeLog } from '../fakes/log.ts';

function bench() {
  const clock = new FakeClock();
  const log = new FakeLog();
  const first = new FirstFrame(clock, log.logger);
  const seen = { calm: false };
  void first.calm.then(() => {
    seen.calm = true;
  });
  return { clock, log, first, seen };
}

test('only the first classified frame is logged, and nothing waits any longer', async () => {
  const { log, first, seen } = bench();
  await settle();
  assert.equal(seen.calm, false);
  first.classified('gate');
  first.classified('yard');
  await settle();
  assert.equal(seen.calm, true);
  assert.equal(log.lines.length, 1);
  assert.equal(log.lines[0]!.camera, 'gate');
});

test('a first frame that takes long holds nothing up for more than half a second', async () => {
  const { clock, first, seen } = bench();
  await clock.advanceAsync(10_000);
  assert.equal(seen.calm, false, 'the cameras have not started');
  first.expect();
  await clock.advanceAsync(499);
  assert.equal(seen.calm, false);
  await clock.advanceAsync(1);
  assert.equal(seen.calm, true);
});
