import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Statistics } from '../../../../src/modelkit/quantize/observe.ts';
import { asymmetric, chooseRange, symmetric } from '../../../../src/modelkit/quantize/ranges.ts';
import { quantizeWeights } from '../../../../src/modelkit/quantize/weights.ts';
import { Random } from '../../../../src/runtime/random.ts';

test('quantised activations represent 0 exactly', () => {
  assert.deepEqual(asymmetric({ min: 0, max: 255 }), { scale: 1, zeroPoint: 0, type: 'uint8' });
  assert.equal(asymmetric({ min: -1, max: 1.55 }).zeroPoint, 100);
  assert.equal(asymmetric({ min: 2, max: 5.1 }).zeroPoint, 0, 'a range without zero is widened');
  assert.ok(asymmetric({ min: 0, max: 0 }).scale > 0);
  assert.deepEqual(symmetric({ min: -254, max: 127 }), { scale: 2, zeroPoint: 0, type: 'int8' });
});

test('weights are scaled channel by channel', () => {
  const data = Float32Array.of(1.2345, -2.3456, 0, 0, 0.5004, 0.2345);
  const { ints, scales } = quantizeWeights(data, [3, 2], 0);
  assert.deepEqual([...ints], [67, -127, 0, 0, 127, 60]);
  const largest = [...scales].map((scale) => Math.round(scale * 127 * 1e4) / 1e4);
  assert.deepEqual(largest, [2.3456, 127, 0.5004]);
  const turned = quantizeWeights(Float32Array.of(1.2345, -2.3456, 3.1417, 4.1234), [2, 2], 1);
  assert.deepEqual([...turned.ints], [50, -72, 127, 127]);
});

test('weights that were quantised before keep their integers', () => {
  const before = [5, -3, 127, 12, 0, 44, -100, 30, 6, 200, 199, -7];
  const data = Float32Array.from(before, (ints, index) => ints * (index < 6 ? 0.0173 : 0.0412));
  const { ints, scales } = quantizeWeights(data, [4, 3], 0);
  for (const [index, value] of data.slice(0, 9).entries()) {
    assert.ok(Math.abs(ints[index]! * scales[Math.floor(index / 3)]! - value) < 1e-5);
  }
  assert.equal(ints[9], 127, 'numbers that do not fit are rounded');
});

/** Small numbers, and one outlier. */
function statistics(outliers: number): Statistics {
  const histogram = new Float64Array(2048);
  histogram.fill(20_000, 0, 200);
  histogram[2047] = outliers;
  return {
    min: 0,
    max: 20.48,
    histogram,
    size: 1,
    channelMeans: new Float64Array(1),
    channelSizes: new Float64Array(1),
  };
}

test('each method covers its range', () => {
  assert.deepEqual(chooseRange(statistics(1), 'minmax'), { min: 0, max: 20.48 });
  const percentile = chooseRange(statistics(1), 'percentile');
  assert.ok(Math.abs(percentile.max - 2) < 0.02, `a lone outlier is cut off, at ${percentile.max}`);
  assert.ok(chooseRange(statistics(1), 'mse').max < 10, 'so it is for the sake of the others');
  assert.equal(chooseRange(statistics(1e7), 'mse').max, 20.48, 'but not when there are many');
});

test('weights that were never quantised are rounded finely, wherever the largest of a channel is', () => {
  const random = new Random(5);
  const row = Float32Array.from({ length: 64 }, () => 0.01 * random.gaussian());
  for (const place of [0, 31, 63]) {
    const data = row.slice();
    data[place] = 0.05;
    const { scales } = quantizeWeights(data, [1, 64], 0);
    assert.ok(Math.abs(scales[0]! - 0.05 / 127) < 1e-8, `scale ${scales[0]}`);
  }
});
