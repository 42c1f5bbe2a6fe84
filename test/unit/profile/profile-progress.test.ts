import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duration, ProgressBar } from '../../../src/profile/profile-progress.ts';

test('durations are readable', () => {
  assert.deepEqual([0, 45_400, 200_000, 7_500_000].map(duration), ['0 s', '45 s', '3 min 20 s', '2 h 5 min']);
});

test('the time left is the planned one at first, then follows the measured steps', () => {
  let now = 0;
  const written: string[] = [];
  const bar = new ProgressBar({ write: (text) => written.push(text) }, 10_000, () => now);
  bar.show(0, 4, 'one');
  now = 4000;
  bar.show(1, 4, 'two');
  now = 8000;
  bar.show(2, 4, 'three');
  bar.end();
  assert.deepEqual(written, ['1/4  40 s left  one\n', '2/4  12 s left  two\n', '3/4  8 s left  three\n']);
});

test('the time left decreases within each step, and never below zero', () => {
  let now = 0;
  const written: string[] = [];
  const screen = { isTTY: true, columns: 80, write: (text: string) => written.push(text) };
  const bar = new ProgressBar(screen, 10_000, () => now);
  const left = () => /\S+ s left/.exec(written.at(-1)!)?.[0];
  bar.show(0, 3, 'one');
  now = 10_000;
  bar.show(1, 3, 'two');
  assert.equal(left(), '20 s left');
  now = 14_000;
  bar.show(1, 3, 'two');
  assert.equal(left(), '16 s left');
  now = 60_000;
  bar.show(1, 3, 'two');
  assert.equal(left(), '10 s left');
  bar.show(4, 3, 'a step too many');
  assert.match(written.at(-1)!, /█{24} 4\/3/);
  bar.end();
});

test('a terminal gets one line that is erased at the end', () => {
  const written: string[] = [];
  const bar = new ProgressBar(
    { isTTY: true, columns: 60, write: (text) => written.push(text) },
    1000,
    () => 0,
  );
  bar.show(1, 2, 'a point whose name is longer than the terminal is wide');
  bar.end();
  assert.ok(written.every((text) => text.startsWith('\r\x1b[K')));
  assert.ok(written[0]!.length <= 60 + 3);
  assert.match(written[0]!, /█{12}░{12} 1\/2/);
  assert.equal(written.at(-1), '\r\x1b[K');
});
