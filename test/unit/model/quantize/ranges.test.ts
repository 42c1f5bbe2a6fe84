import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Statistics } from '../../../../src/model/quantize/observe.ts';
import { asymmetric, chooseRange, symmetric } from '../../../../src/model/quantize/ranges.ts';
import { quantizeWeights } from '../../../../src/model/quantize/weights.ts';

test('the numbers for activations hold zero exactly', () => {
  assert.deepEqual(asymmetric({ min: 0, max: 255 }), { scale: 1, zeroPoint: 0, type: 'uint8' });
  assert.equal(asymmetric({ min: -1, max: 1.55 }).zeroPoint, 100);
  assert.equal(asymmetric({ min: 2, max: 5.1 }).zeroPoint, 0, 'a range without zero is widened');
  assert.ok(asymmetric({ min: 0, max: 0 }).scale > 0);
  assert.deepEqual(symmetric({ min: -254, max: 127 }), { scale: 2, zeroPoint: 0, type: 'int8' });
});

test('weights are scaled channel by channel', () => {
  const { whole, scales } = quantizeWeights(Float32Array.of(1, -2, 0, 0, 0.5, 0.25), [3, 2], 0);
  assert.deepEqual([...whole], [64, -127, 0, 0, 127, 64]);
  assert.deepEqual(
    [...scales].map((s) => Math.round(s * 127 * 100) / 100),
    [2, 127, 0.5],
  );
  assert.deepEqual([...quantizeWeights(Float32Array.of(1, -2, 3, 4), [2, 2], 1).whole], [42, -64, 127, 127]);
});

/** Mostly small numbers, and one far away. */
function statistics(outliers: number): Statistics {
  const histogram = new Float64Array(2048);
  histogram.fill(20_000, 0, 200);
  histogram[2047] = outliers;
  return {
    min: 0,
    max: 20.48,
    histogram,
    channelMeans: new Float64Array(1),
    channelSizes: new Float64Array(1),
  };
}

test('each method covers what it promises', () => {
  assert.deepEqual(chooseRange(statistics(1), 'minmax'), { min: 0, max: 20.48 });
  const percentile = chooseRange(statistics(1), 'percentile');
  assert.ok(Math.abs(percentile.max - 2) < 0.02, `a lone outlier is cut off, at ${percentile.max}`);
  assert.ok(chooseRange(statistics(1), 'mse').max < 10, 'so it is for the sake of the others');
  assert.equal(chooseRange(statistics(1e7), 'mse').max, 20.48, 'but not when there are many');
});
