import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DataType } from '../../../../src/model/onnx.ts';
import { GraphBuilder, type Quantization } from '../../../../src/model/onnx-graph.ts';
import {
  HARD_SWISH,
  type HardSwish,
  hardSwishLike,
  hardSwishTable,
} from '../../../../src/modelkit/tflite/hard-swish.ts';
import { Random } from '../../../../src/runtime/random.ts';
import { runModel } from '../../model/run-model.ts';

const step = (scale: number, zeroPoint: number): Quantization => ({ scale, zeroPoint, type: 'uint8' });

/** ONNX Runtime's results for all bytes. */
async function answers(
  input: Quantization,
  output: Quantization,
  formula: HardSwish,
): Promise<ArrayLike<number>> {
  const g = new GraphBuilder('swish');
  const x = g.dequantize(g.input('bytes', 'uint8', [1, 256]), input);
  const attributes = { alpha: { float: formula.slope }, beta: { float: formula.middle } };
  const real = g.node('Mul', [x, g.node('HardSigmoid', [x], attributes)]);
  g.alias(g.quantize(real, { ...output, scale: formula.step }), g.reserve('y'));
  g.output('y', [1, 256]);
  const model = g.build();
  model.graph.output[0]!.type!.tensorType!.elemType = DataType.uint8;
  const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  return (await runModel(model, bytes)).y!;
}

const wrong = (found: ArrayLike<number>, table: Uint8Array) =>
  table.filter((byte, index) => byte !== found[index]).length;

// LiteRT 2.3 on layers of a MobileNetV3: bytes that floats round differently.
const LITERT = [
  { input: step(0.049329616129398346, 117), output: step(0.028152700513601303, 13), byte: 232, is: 214 },
  { input: step(0.06168094649910927, 122), output: step(0.033620160073041916, 11), byte: 152, is: 56 },
  { input: step(0.06168094649910927, 122), output: step(0.033620160073041916, 11), byte: 252, is: 249 },
  { input: step(0.06277447193861008, 143), output: step(0.029062768444418907, 13), byte: 215, is: 168 },
];

test('the table has the numbers of TensorFlow Lite', () => {
  for (const { input, output, byte, is } of LITERT) assert.equal(hardSwishTable(input, output)[byte], is);
});

test('HARD_SWISH in floats rounds as in TensorFlow Lite, except for one byte in a thousand', async () => {
  const random = new Random(11);
  let [plain, like] = [0, 0];
  const layers = 25;
  for (let layer = 0; layer < layers; layer++) {
    const input = step(Math.fround(random.range(0.02, 0.08)), Math.floor(random.range(100, 150)));
    const output = step(Math.fround(input.scale * random.range(0.45, 0.65)), Math.floor(random.range(8, 20)));
    const table = hardSwishTable(input, output);
    plain += wrong(await answers(input, output, { ...HARD_SWISH, step: output.scale }), table);
    like += wrong(await answers(input, output, hardSwishLike(input, output)), table);
  }
  assert.ok(like <= (layers * 256) / 1000, `${like} bytes`);
  assert.ok(plain > 3 * like, `${plain} bytes without help, ${like} with it`);
});
