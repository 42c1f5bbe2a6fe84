import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ModelDescription } from '../../../../src/model/description.ts';
import { encodeModel, type OnnxModel } from '../../../../src/model/onnx.ts';
import { GraphBuilder } from '../../../../src/model/onnx-graph.ts';
import { readExported } from '../../../../src/modelkit/quantize/exported.ts';
import { readFloatGraph, writeFloatGraph } from '../../../../src/modelkit/quantize/float-graph.ts';
import { simplify } from '../../../../src/modelkit/quantize/simplify.ts';
import { Random } from '../../../../src/runtime/random.ts';
import { tempFolder } from '../../../support/folder.ts';
import { runModel } from '../../model/run-model.ts';

const SIDE = 8;
const folder = tempFolder();
const random = new Random(3);
const normal = (count: number) => Float32Array.from({ length: count }, () => random.gaussian());
const input: ModelDescription['input'] = {
  name: 'x',
  width: SIDE,
  height: SIDE,
  layout: 'nchw',
  type: 'float32',
  channels: 3,
  order: 'rgb',
  mean: [0, 0, 0],
  scale: [1, 1, 1],
};

/** As PyTorch exports it: pads and shapes are computed while the model runs. */
function network(): OnnxModel {
  const g = new GraphBuilder('exported');
  const x = g.input('x', 'float', ['batch', 3, SIDE, SIDE]);
  const ints = (name: string, ...values: number[]) =>
    g.constant(name, BigInt64Array.from(values, BigInt), [values.length]);
  const front = g.node('Concat', [ints('start', 0, 0, 0), ints('left', 0)], { axis: 0 }, 'front');
  const pads = g.node('Concat', [front, ints('end', 0, 0, 1, 1)], { axis: 0 }, 'pads');
  const padded = g.node('Pad', [x, pads], { mode: 'constant' }, 'padded');
  const weights = g.constant('w', normal(4 * 27), [4, 3, 3, 3]);
  const made = g.node('Conv', [padded, weights], { kernel_shape: [3, 3], strides: [2, 2] }, 'made');
  const pooled = g.node('GlobalAveragePool', [made], {}, 'pooled');
  const batch = g.node('Slice', [g.node('Shape', [x]), ints('from', 0), ints('to', 1)], {}, 'count');
  const shape = g.node('Concat', [batch, ints('rest', -1)], { axis: 0 }, 'shape');
  const flat = g.node('Reshape', [pooled, shape], {}, 'flat');
  g.node('Gemm', [flat, g.constant('w2', normal(12), [3, 4])], { transB: 1 }, 'logits');
  g.output('logits', ['batch', 3]);
  return g.build();
}

const picture = normal(3 * SIDE * SIDE);

test('the constants of an exported model are folded', async () => {
  const file = join(folder, 'exported.onnx');
  const model = network();
  writeFileSync(file, encodeModel(model));
  const simple = simplify(readFloatGraph(await readExported(file, input)));
  assert.deepEqual(
    simple.nodes.map(({ op }) => op),
    ['Conv', 'GlobalAveragePool', 'Reshape', 'Gemm'],
  );
  assert.deepEqual(simple.nodes[0]!.attributes.pads, [0, 0, 1, 1]);
  model.graph.input[0]!.type!.tensorType!.shape!.dim[0] = { dimValue: 1 };
  const { logits } = await runModel(writeFloatGraph(simple), picture);
  const expected = await runModel(model, picture);
  assert.ok(logits!.every((value, index) => Math.abs(value - expected.logits![index]!) < 1e-4));
});

test('weights are read from a file next to the model, and from no other folder', async () => {
  const model = network();
  const weights = model.graph.initializer.find(({ name }) => name === 'w')!;
  writeFileSync(join(folder, 'outside.onnx.data'), Buffer.concat([Buffer.alloc(16), weights.rawData]));
  weights.dataLocation = 1;
  weights.externalData = [
    { key: 'location', value: '../../outside.onnx.data' },
    { key: 'offset', value: '16' },
    { key: 'length', value: String(weights.rawData.length) },
  ];
  weights.rawData = new Uint8Array();
  const file = join(folder, 'outside.onnx');
  writeFileSync(file, encodeModel(model));
  const read = readFloatGraph(await readExported(file, input));
  assert.ok([...read.constants.values()].some(({ data }) => data.length === 4 * 27));
  weights.externalData[2]!.value = '1000';
  writeFileSync(file, encodeModel(model));
  await assert.rejects(readExported(file, input), /the weights w are not in outside\.onnx\.data/);
});
