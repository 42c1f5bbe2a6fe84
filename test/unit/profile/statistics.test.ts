import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batches, estimate, median, percentile, ratio, summarise } from '../../../src/profile/statistics.ts';
import { Random } from '../../../src/runtime/random.ts';

test('percentiles use the nearest rank, as in MLPerf', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  assert.deepEqual(summarise(hundred), { count: 100, mean: 50.5, p50: 50, p90: 90, p99: 99, max: 100 });
  assert.deepEqual(summarise([7]), { count: 1, mean: 7, p50: 7, p90: 7, p99: 7, max: 7 });
  assert.equal(summarise([]), null);
  assert.ok(Number.isNaN(percentile([], 0.5)));
});

test('the median of an even count is between the two middle values', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([3, 1, 2]), 2);
});

test('batches keep the order, lose nothing and have the minimum size', () => {
  const series = Array.from({ length: 47 }, (_, index) => index);
  const parts = batches(series, 20, 5);
  assert.deepEqual(parts.flat(), series);
  assert.equal(parts.length, 9);
  assert.ok(parts.every(({ length }) => length >= 5));
  assert.equal(batches([1, 2], 20, 5).length, 1);
});

test('a 95 % interval contains the true value about as often as it claims', () => {
  const random = new Random(7);
  let held = 0;
  const trials = 200;
  for (let trial = 0; trial < trials; trial++) {
    // Five processes that differ from each other, of ten batches each.
    const rounds = Array.from({ length: 5 }, () => {
      const own = 100 + 3 * random.gaussian();
      return Array.from({ length: 10 }, () => own + random.gaussian());
    });
    const { low, high } = estimate(rounds)!;
    if (low <= 100 && 100 <= high) held++;
  }
  assert.ok(held / trials > 0.85 && held / trials <= 1, `${held} of ${trials}`);
});

test('different rounds make a wider interval than a single round', () => {
  const one = estimate([[100, 101, 99, 100, 100, 101]])!;
  const many = estimate([
    [100, 101, 99],
    [90, 91, 89],
    [110, 111, 109],
  ])!;
  assert.ok(many.high - many.low > 5 * (one.high - one.low));
  assert.equal(many.value, 100);
  assert.equal(estimate([[], []]), null);
});

test('the interval of a ratio includes those of both sides', () => {
  const a = estimate([
    [100, 102, 98, 100],
    [101, 99, 100, 100],
    [99, 101, 100, 100],
  ])!;
  const b = estimate([
    [110, 112, 108, 110],
    [111, 109, 110, 110],
    [109, 111, 110, 110],
  ])!;
  const { value, low, high } = ratio(a, b);
  assert.equal(value, 1.1);
  assert.ok(low > 1.05 && low < 1.1 && high > 1.1 && high < 1.15, `${low} … ${high}`);
});
