import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rhythm } from '../../../src/capture/byte-rhythm.ts';
import { FakeClock } from '../../fakes/clock.ts';

/**
 * A program that writes bursts of `burst` bytes every `interval` ms, in pieces, to a reader that takes them for
 * frames of 1000 bytes at 10 a second. Tells after how many bursts it was found out of step, if at all.
 */
function play({
  burst,
  interval = 100,
  offset = 0,
  bursts = 100,
  gap = 2,
}: {
  burst: number;
  interval?: number;
  offset?: number;
  bursts?: number;
  gap?: number;
}): number | null {
  const clock = new FakeClock();
  const rhythm = new Rhythm(clock, 10);
  let received = offset;
  for (let i = 0; i < bursts; i++) {
    let left = burst;
    for (; left > 0; left -= 250) {
      rhythm.bytes(received);
      received += Math.min(left, 250);
      for (; received >= 1000; received -= 1000) rhythm.frame();
      clock.advance(gap);
    }
    if (rhythm.outOfSync) return i + 1;
    clock.advance(interval - gap * Math.ceil(burst / 250));
  }
  return null;
}

test('a stream in sync stays in sync at the requested rate, slower, and slightly faster', () => {
  for (const interval of [100, 1000, 70]) assert.equal(play({ burst: 1000, interval }), null);
});

test('a stream that comes without pauses, because the reader is slow, is not reported', () => {
  assert.equal(play({ burst: 1000, interval: 100, gap: 25 }), null);
});

test('a stream that lost bytes is detected within two seconds', () => {
  const found = play({ burst: 1000, offset: 300 });
  assert.ok(found && found <= 20, `${found}`);
});

test('frames that became smaller are detected', () => {
  for (const burst of [250, 500, 750]) assert.ok(play({ burst }), `${burst}`);
});

test('frames that became larger are detected, also by an integer factor', () => {
  for (const burst of [1500, 2000, 4000]) assert.ok(play({ burst }), `${burst}`);
});

test('single pauses in the middle of a frame are tolerated', () => {
  const clock = new FakeClock();
  const rhythm = new Rhythm(clock, 10);
  for (let i = 0; i < 200; i++) {
    rhythm.bytes(0);
    clock.advance(i % 4 === 0 ? 60 : 2);
    rhythm.bytes(500);
    rhythm.frame();
    assert.equal(rhythm.outOfSync, false);
    clock.advance(90);
  }
});
