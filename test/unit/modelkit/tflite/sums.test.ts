import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scalesOfTerms } from '../../../../src/modelkit/tflite/sums.ts';
import { Random } from '../../../../src/runtime/random.ts';

const { fround } = Math;
const even = (x: number) => {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor & 1) : Math.round(x);
};

/** Adds as TensorFlow Lite does: 21-bit factors, ties up. */
function expected([x, y]: [number, number], [a, b]: [number, number], step: number): number {
  const ratios = [fround(a / step), fround(b / step)] as const;
  const shift = 20 - Math.floor(Math.log2(Math.max(...ratios)));
  const [m, n] = ratios.map((ratio) => BigInt(Math.round(ratio * 2 ** shift))) as [bigint, bigint];
  return Number((BigInt(x) * m + BigInt(y) * n + (1n << BigInt(shift - 1))) >> BigInt(shift));
}

/** Adds as ONNX Runtime does: floats, ties to even, one or two roundings for each product. */
function found(
  [x, y]: [number, number],
  [a, b]: [number, number],
  [za, zb, zc]: [number, number, number],
  { step, fused }: { step: number; fused: boolean },
): number {
  const [ra, rb] = [fround(a / step), fround(b / step)];
  const fixed = fround(zc - fround(fround(ra * za) + fround(rb * zb)));
  const left = fused ? fround((x + za) * ra + fixed) : fround(fround((x + za) * ra) + fixed);
  const sum = fused ? fround((y + zb) * rb + left) : fround(fround((y + zb) * rb) + left);
  return even(sum) - zc;
}

function disagreements(
  given: [number, number],
  chosen: [number, number],
  step: number,
  zeros: [number, number, number],
) {
  let count = 0;
  for (let x = 0; x < 256; x++) {
    for (let y = 0; y < 256; y++) {
      const steps: [number, number] = [x - zeros[0], y - zeros[1]];
      const right = expected(steps, given, step);
      if (right + zeros[2] < 0 || right + zeros[2] > 255) continue;
      for (const fused of [false, true]) if (found(steps, chosen, zeros, { step, fused }) !== right) count++;
    }
  }
  return count;
}

test('sums of two values round as in TensorFlow Lite, with very few exceptions', () => {
  const random = new Random(4);
  let [before, after] = [0, 0];
  for (let round = 0; round < 10; round++) {
    const step = fround(random.range(0.01, 0.3));
    const scales: [number, number] = [
      fround(step * random.range(0.3, 1)),
      fround(step * random.range(0.3, 1)),
    ];
    const zeros: [number, number, number] = [0, 0, 0].map(() =>
      Math.floor(random.range(60, 200)),
    ) as typeof zeros;
    const terms = scales.map((scale, side) => ({
      scale,
      steps: Array.from({ length: 256 }, (_, byte) => byte - zeros[side]!),
    }));
    const chosen = scalesOfTerms([terms[0]!, terms[1]!], step);
    before += disagreements(scales, scales, step, zeros);
    after += disagreements(scales, chosen, step, zeros);
    for (const side of [0, 1] as const) assert.ok(Math.abs(chosen[side] / scales[side] - 1) < 4e-6);
  }
  assert.ok(before >= 8, `${before} sums would differ`);
  assert.ok(after <= before / 5, `${after} of ${before} sums still differ`);
});
