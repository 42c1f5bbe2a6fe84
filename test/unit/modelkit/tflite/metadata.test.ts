import assert from 'node:assert/strict';
import { test } from 'node:test';
import { intPixels } from '../../../../src/modelkit/tflite/metadata.ts';

const quantization = (scale: number, zeroPoint: number) => ({ scale, zeroPoint, type: 'uint8' }) as const;

test('pixels that normalisation and quantisation do not change are passed on unchanged', () => {
  const plain = { mean: [127.5], deviation: [127.5] };
  assert.equal(intPixels(plain, quantization(1 / 127.5, 127), 3), null);
  assert.equal(intPixels(plain, quantization(1 / 127.5, 128), 3), null);
  assert.equal(intPixels({ mean: [0], deviation: [255] }, quantization(1 / 255, 0), 3), null);
});

test('other normalisation is written to the description, channel by channel', () => {
  const normalisation = { mean: [123.7, 116.3, 103.5], deviation: [58.4, 57.1, 57.4] };
  const { scale: step, zeroPoint } = quantization(0.0187, 114);
  const found = intPixels(normalisation, quantization(step, zeroPoint), 3)!;
  for (const byte of [0, 100, 255]) {
    for (const channel of [0, 1, 2]) {
      const real = (byte - normalisation.mean[channel]!) / normalisation.deviation[channel]!;
      const whole = (byte - found.mean[channel]!) * found.scale[channel]!;
      assert.ok(Math.abs(whole - (real / step + zeroPoint)) < 1e-9);
    }
  }
});
