import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder, makeNode } from '../../../../src/model/graph.ts';
import type { OnnxModel } from '../../../../src/model/onnx.ts';
import { asymmetric, quantizeWeights } from '../../../../src/model/quantize/emit.ts';
import { floatGraph } from '../../../../src/model/quantize/float-graph.ts';
import { quantize } from '../../../../src/model/quantize/quantize.ts';
import { Random } from '../../../../src/platform/random.ts';
import { runModel } from '../run-model.ts';

const random = new Random(5);
const normal = (count: number, scale = 1) =>
  Float32Array.from({ length: count }, () => random.gaussian() * scale);

/** Convolution with normalisation and Clip, depthwise with Relu, a shortcut, pooling and a matrix product. */
function network(): OnnxModel {
  const g = new GraphBuilder('small');
  const x = g.input('x', 'float', [1, 3, 8, 8]);
  const scalar = (value: number) => g.constant('bound', Float32Array.of(value));
  const square = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  const one = g.node('Conv', [x, g.constant('w1', normal(8 * 27, 0.3), [8, 3, 3, 3])], square, 'one');
  const statistics = ['gamma', 'beta', 'mean', 'variance'].map((name) =>
    g.constant(
      name,
      normal(8).map((v) => Math.abs(v) + 0.2),
      [8],
    ),
  );
  const normed = g.node('BatchNormalization', [one, ...statistics], { epsilon: { float: 1e-3 } }, 'normed');
  const six = g.node('Clip', [normed, scalar(0), scalar(6)], {}, 'six');
  const depthWeights = g.constant('w2', normal(8 * 9, 0.4), [8, 1, 3, 3]);
  const depth = g.node('Conv', [six, depthWeights, g.constant('b2', normal(8), [8])], {
    ...square,
    group: 8,
  });
  const relu = g.node('Relu', [depth], {}, 'relu');
  const same = g.node('Identity', [relu], {}, 'same');
  const sum = g.node('Add', [same, six], {}, 'sum');
  const pooled = g.node('GlobalAveragePool', [sum], {}, 'pooled');
  const flat = g.node('Flatten', [pooled], { axis: 1 }, 'flat');
  const gemm = [flat, g.constant('w3', normal(8 * 5), [5, 8]), g.constant('b3', normal(5), [5])];
  g.node('Gemm', gemm, { transB: 1 }, 'logits');
  g.output('logits', [1, 5]);
  return g.build();
}

const pictures = Array.from({ length: 40 }, () => normal(3 * 64));

test('normalisation is folded into its convolution without changing the answer', async () => {
  const model = network();
  const folded = floatGraph(model);
  assert.ok(!folded.nodes.some(({ op }) => op === 'BatchNormalization' || op === 'Identity'));
  const g = new GraphBuilder('folded');
  for (const [name, { data, dims }] of folded.constants) g.constant(name, data, dims);
  const again = g.build();
  again.graph.node = folded.nodes.map((n) => makeNode(n.op, n.inputs, n.outputs, n.attributes));
  again.graph.input = model.graph.input;
  again.graph.output = model.graph.output;
  const expected = (await runModel(model, pictures[0]!)).logits!;
  const found = (await runModel(again, pictures[0]!)).logits!;
  found.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) < 1e-4);
  });
});

test('a quantised network answers nearly what the float one does', async () => {
  const model = network();
  const whole = await quantize(model, pictures);
  const types = whole.graph.node.map(({ opType }) => opType);
  assert.ok(
    !types.includes('Clip') && !types.includes('Relu'),
    'the limits of the whole numbers do their work',
  );
  let signal = 0;
  let noise = 0;
  for (const picture of pictures.slice(0, 10)) {
    const expected = (await runModel(model, picture)).logits!;
    const found = (await runModel(whole, picture)).logits!;
    expected.forEach((value, i) => {
      signal += value ** 2;
      noise += (value - found[i]!) ** 2;
    });
  }
  const decibels = 10 * Math.log10(signal / noise);
  assert.ok(decibels > 28, `signal to noise ${decibels.toFixed(1)} dB`);
});

test('the numbers for activations hold zero exactly', () => {
  assert.deepEqual(asymmetric({ min: 0, max: 255 }), { scale: 1, zeroPoint: 0, type: 'uint8' });
  assert.equal(asymmetric({ min: -1, max: 1.55 }).zeroPoint, 100);
  assert.equal(asymmetric({ min: 2, max: 5.1 }).zeroPoint, 0, 'a range without zero is widened');
  assert.ok(asymmetric({ min: 0, max: 0 }).scale > 0);
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
