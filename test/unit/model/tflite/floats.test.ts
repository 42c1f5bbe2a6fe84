import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { convertTflite } from '../../../../src/modelkit/tflite/convert.ts';
import { floats } from '../../../../src/modelkit/tflite/elements.ts';
import { readTflite, type TfliteTensor } from '../../../../src/modelkit/tflite/read-tflite.ts';
import { Random } from '../../../../src/runtime/random.ts';
import { type Weights, withFloats } from '../../../support/tflite-floats.ts';
import { TinyNet } from '../../../support/tflite-nets.ts';
import { writeTflite } from '../../../support/tflite-writer.ts';
import { runModel } from '../run-model.ts';

const SIDE = 17;
const random = new Random(12);
const pictures = Array.from({ length: 4 }, () =>
  Uint8Array.from({ length: SIDE * SIDE * 3 }, () => Math.floor(random.range(0, 256))),
);

const NETS: Record<string, () => TinyNet> = {
  'convolutions, borders, a shortcut, a mean and a dense layer': () => {
    const net = new TinyNet(21, 'int8', SIDE, { perChannel: true }).pad(0).conv(8, 3, 2, { valid: true });
    const shortcut = net.at;
    net.conv(16, 1, 1).depthwise(1).conv(8, 1, 1, { activation: 0 }).add(shortcut);
    return net.depthwise(2, { multiplier: 2 }).mean().dense(40);
  },
  'pools, flattened features and single activations': () => {
    const net = new TinyNet(22, 'int8', SIDE, { perChannel: true }).conv(6, 5, 2, { activation: 0 });
    net.relu('RELU6').pool('MAX_POOL_2D', 2, 2).pool('AVERAGE_POOL_2D', 2, 1);
    return net
      .reshape([1, 5 * 5 * 6])
      .dense(24, { activation: 1 })
      .dense(40);
  },
};

/** The scores of all images. */
async function answers(net: TinyNet, weights: Weights | null): Promise<Float32Array[]> {
  const written = weights ? withFloats(net.model(), weights) : net.model();
  const { model, pixels } = convertTflite(readTflite(writeTflite(written)), 'net.tflite', { plain: true });
  assert.equal(pixels, weights ? 'float' : null);
  const all: Float32Array[] = [];
  for (const picture of pictures) {
    const fed = weights ? Float32Array.from(picture, (level) => (level - 127) / 127.5) : picture;
    all.push((await runModel(model, fed)).scores!);
  }
  return all;
}

const worst = (a: Float32Array[], b: Float32Array[]) =>
  Math.max(...a.flatMap((row, r) => [...row].map((value, i) => Math.abs(value - b[r]![i]!))));

/** Similarity of two sets of scores; 1 if they differ only in scale. */
function likeness(a: Float32Array[], b: Float32Array[]): number {
  const pairs = a.flatMap((row, r) => [...row].map((value, i) => [value, b[r]![i]!] as const));
  const sum = (of: (pair: readonly [number, number]) => number) =>
    pairs.reduce((all, pair) => all + of(pair), 0);
  return sum(([x, y]) => x * y) / Math.sqrt(sum(([x]) => x * x) * sum(([, y]) => y * y));
}

describe('a network that computes in floats', () => {
  for (const [name, net] of Object.entries(NETS)) {
    test(`becomes a float graph: ${name}`, async () => {
      const ints = await answers(net(), null);
      const float = await answers(net(), 'float32');
      const size = Math.max(...float.flatMap((row) => [...row].map(Math.abs)));
      assert.ok(size > 0.1);
      // Integers are clipped at their limits; a misplaced value would make the results completely different.
      assert.ok(likeness(ints, float) > 0.97, `${likeness(ints, float)}`);
      assert.ok(worst(float, await answers(net(), 'float16')) < 0.005 * size);
      assert.ok(worst(float, await answers(net(), 'int8')) < 1e-4 * size);
    });
  }

  test('is refused where integers are required', () => {
    const net = NETS[Object.keys(NETS)[0]!]!();
    for (const [weights, reason] of [
      ['float32', /it computes in floats in 6 layers/],
      ['float16', /its weights are float16/],
      ['int8', /its weights are 8-bit but it computes in floats/],
    ] as const) {
      const source = readTflite(writeTflite(withFloats(net.model(), weights)));
      assert.throws(() => convertTflite(source, 'net.tflite'), {
        code: 'MODEL_NOT_QUANTIZED',
        message: reason,
        hint: /`lookout model quantize net\.tflite --calibrate FOLDER`/,
      });
    }
  });
});

test('float16 numbers are read exactly', () => {
  const bits = [0x3c00, 0xc000, 0x3555, 0x0001, 0x8000, 0x7bff, 0x0400, 0x7c00, 0xfc00];
  const tensor = { type: 'float16', data: new Uint8Array(Uint16Array.from(bits).buffer) } as TfliteTensor;
  assert.deepEqual(
    [...floats(tensor)!],
    [1, -2, 0.333251953125, 2 ** -24, -0, 65504, 2 ** -14, Infinity, -Infinity],
  );
  tensor.data = new Uint8Array(Uint16Array.of(0x7e00).buffer);
  assert.ok(Number.isNaN(floats(tensor)![0]));
});
