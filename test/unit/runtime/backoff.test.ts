import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../../../src/runtime/backoff.ts';

const take = (backoff: Backoff, count: number) => Array.from({ length: count }, () => backoff.next());

test('a backoff doubles from the first wait to the longest, and starts over after a success', () => {
  const backoff = new Backoff({ firstMs: 1000, longestMs: 30_000 });
  assert.deepEqual(take(backoff, 7), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  backoff.reset();
  assert.deepEqual(take(backoff, 2), [1000, 2000]);
});

test('jitter scales each wait by itself and does not add up', () => {
  let random = 1;
  const backoff = new Backoff({
    firstMs: 1000,
    longestMs: 3000,
    jitter: { from: 1, to: 1.25, random: () => random },
  });
  assert.deepEqual(take(backoff, 3), [1250, 2500, 3750]);
  random = 0;
  assert.equal(backoff.next(), 3000);
});

test('the factor is a setting, and thousands of failures stay within the limit', () => {
  const backoff = new Backoff({ firstMs: 10, longestMs: 500, factor: 3 });
  assert.deepEqual(take(backoff, 5), [10, 30, 90, 270, 500]);
  assert.equal(take(backoff, 5000).at(-1), 500);
});
