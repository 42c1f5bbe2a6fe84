import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ModelDescription } from '../../../../src/model/description.ts';
import type { OnnxModel } from '../../../../src/model/onnx.ts';
import { GraphBuilder, makeNode, makeTensor } from '../../../../src/model/onnx-graph.ts';
import { dequantized } from '../../../../src/modelkit/quantize/dequantize.ts';
import { readFloatGraph, writeFloatGraph } from '../../../../src/modelkit/quantize/float-graph.ts';
import { type PixelForm, takeBytes, takeFloats } from '../../../../src/modelkit/quantize/input-pixels.ts';
import { gather } from '../../../../src/modelkit/quantize/observe.ts';
import { quantizeModel } from '../../../../src/modelkit/quantize/quantize.ts';
import { withoutRescaling } from '../../../../src/modelkit/quantize/rescaling.ts';
import { simplify } from '../../../../src/modelkit/quantize/simplify.ts';
import { equalise } from '../../../../src/modelkit/quantize/weights.ts';
import { Random } from '../../../../src/runtime/random.ts';
import { runModel } from '../../model/run-model.ts';

const SIDE = 8;
const random = new Random(5);
const normal = (count: number, scale = 1) =>
  Float32Array.from({ length: count }, () => random.gaussian() * scale);
const byte = () => Math.floor(random.range(0, 256));
const pictures = Array.from({ length: 40 }, () => Uint8Array.from({ length: SIDE * SIDE * 3 }, byte));

const LOGITS = { name: 'logits', kind: 'logits' } as const;
const input: ModelDescription['input'] = {
  name: 'x',
  width: SIDE,
  height: SIDE,
  layout: 'nchw',
  type: 'float32',
  channels: 3,
  order: 'rgb',
  mean: [123.7, 116.3, 103.5],
  scale: [1 / 58.4, 1 / 57.1, 1 / 57.4],
};

/** Convolution with normalisation and Clip, depthwise with Relu, a shortcut, pooling and a matrix product. */
function network(): OnnxModel {
  const g = new GraphBuilder('small');
  const x = g.input('x', 'float', [1, 3, SIDE, SIDE]);
  const bound = (value: number) => g.constant('bound', Float32Array.of(value));
  const square = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  const one = g.node(
    'Conv',
    [x, g.constant('w1', normal(8 * 27, 0.3), [8, 3, 3, 3])],
    { kernel_shape: [3, 3] },
    'one',
  );
  const positive = (name: string) =>
    g.constant(
      name,
      normal(8).map((v) => Math.abs(v) + 0.2),
      [8],
    );
  const statistics = ['gamma', 'beta', 'mean', 'variance'].map(positive);
  const normed = g.node('BatchNormalization', [one, ...statistics], { epsilon: { float: 1e-3 } }, 'normed');
  const six = g.node('Clip', [normed, bound(0), bound(6)], {}, 'six');
  const depthwise = [
    six,
    g.constant('w2', normal(8 * 9, 0.4), [8, 1, 3, 3]),
    g.constant('b2', normal(8), [8]),
  ];
  const depth = g.node('Conv', depthwise, { ...square, group: 8 }, 'depth');
  const relu = g.node('Relu', [depth], {}, 'relu');
  const again = [relu, g.constant('w4', normal(64, 0.3), [8, 8, 1, 1])];
  const third = g.node('Conv', again, { kernel_shape: [1, 1] }, 'third');
  const linear = g.node('Identity', [third], {}, 'linear');
  const sum = g.node('Add', [linear, relu], {}, 'sum');
  const axes = g.constant('axes', BigInt64Array.of(-1n, -2n), [2]);
  const pooled = g.node('ReduceMean', [sum, axes], { keepdims: 0 }, 'pooled');
  const gemm = [pooled, g.constant('w3', normal(8 * 5), [5, 8]), g.constant('b3', normal(5), [5])];
  g.node('Gemm', gemm, { transB: 1 }, 'logits');
  g.output('logits', [1, 5]);
  const model = g.build();
  model.opsetImport = [{ domain: '', version: 18 }];
  return model;
}

/** The float model's input for an image. */
function planes(picture: Uint8Array, { mean, scale } = input): Float32Array {
  const area = SIDE * SIDE;
  return Float32Array.from({ length: 3 * area }, (_, i) => {
    const channel = Math.floor(i / area);
    return (picture[(i % area) * 3 + channel]! - mean[channel]!) * scale[channel]!;
  });
}

const worst = (a: Float32Array, b: Float32Array) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

describe('a float graph keeps its outputs', () => {
  test('when normalisation is folded, means become pools, and Identity is removed', async () => {
    const model = network();
    const simple = simplify(readFloatGraph(model));
    const ops = simple.nodes.map(({ op }) => op);
    assert.deepEqual(ops, [
      'Conv',
      'Clip',
      'Conv',
      'Relu',
      'Conv',
      'Add',
      'GlobalAveragePool',
      'Flatten',
      'Gemm',
    ]);
    for (const picture of pictures.slice(0, 5)) {
      const expected = (await runModel(model, planes(picture))).logits!;
      const found = (await runModel(writeFloatGraph(simple), planes(picture))).logits!;
      assert.ok(worst(expected, found) < 1e-4);
    }
  });

  test('when its input becomes bytes, and floats again', async () => {
    const model = network();
    const taken = takeBytes(simplify(readFloatGraph(model)), input)!;
    assert.deepEqual([taken.form.type, taken.form.layout], ['uint8', 'nhwc']);
    const back = takeFloats(taken.graph, taken.form);
    for (const picture of pictures.slice(0, 5)) {
      const expected = (await runModel(model, planes(picture))).logits!;
      const bytes = (await runModel(writeFloatGraph(taken.graph), picture)).logits!;
      const reals = (await runModel(writeFloatGraph(back.graph), planes(picture, { ...input, ...back.form })))
        .logits!;
      assert.ok(worst(expected, bytes) < 1e-3 && worst(expected, reals) < 1e-3);
    }
  });

  test('when it scales the image itself, in rows or in planes', async () => {
    const { graph } = network();
    const each = (name: string, values: number[], dims: number[]) =>
      makeTensor(name, Float32Array.from(values), dims);
    const scaled: OnnxModel = {
      ...network(),
      graph: {
        ...graph,
        input: [new GraphBuilder('rows')].map((g) => {
          g.input('rows', 'float', [1, SIDE, SIDE, 3]);
          return g.build().graph.input[0]!;
        }),
        node: [
          makeNode('Div', ['rows', 'wide'], ['small']),
          makeNode('Sub', ['small', 'middle'], ['centred']),
          makeNode('Transpose', ['centred'], ['turned'], { perm: [0, 3, 1, 2] }),
          makeNode('Add', ['lift', 'turned'], ['lifted']),
          makeNode('Mul', ['lifted', 'spread'], ['x']),
          ...graph.node,
        ],
        initializer: [
          ...graph.initializer,
          each('wide', [255], []),
          each('middle', [0.485, 0.456, 0.406], [3]),
          each('lift', [0.1, 0.2, 0.3], [1, 3, 1, 1]),
          each('spread', [1 / 0.229, 1 / 0.224, 1 / 0.225], [3, 1, 1]),
        ],
      },
    };
    const form = { ...input, name: 'rows', layout: 'nhwc', mean: [1, 2, 3], scale: [0.9, 1, 1.1] } as const;
    const fed = { ...form, mean: [...form.mean], scale: [...form.scale] };
    const without = withoutRescaling(simplify(readFloatGraph(scaled)), fed);
    const ops = without.graph.nodes.map(({ op }) => op);
    assert.deepEqual(ops.slice(0, 2), ['Transpose', 'Conv']);
    const bytes = takeBytes(without.graph, without.form)!;
    const rows = (picture: Uint8Array, { mean, scale }: Pick<PixelForm, 'mean' | 'scale'>) =>
      Float32Array.from(picture, (level, i) => (level - mean[i % 3]!) * scale[i % 3]!);
    for (const picture of pictures.slice(0, 5)) {
      const expected = (await runModel(scaled, rows(picture, fed))).logits!;
      const found = (await runModel(writeFloatGraph(without.graph), rows(picture, without.form))).logits!;
      const taken = (await runModel(writeFloatGraph(bytes.graph), picture)).logits!;
      assert.ok(worst(expected, found) < 1e-3 && worst(expected, taken) < 1e-3);
    }
  });

  test('when channels are equalised', async () => {
    const { graph } = takeBytes(simplify(readFloatGraph(network())), input)!;
    const model = writeFloatGraph(graph);
    const same = writeFloatGraph(equalise(graph, await gather(model, ['six'], pictures)));
    assert.notDeepEqual(same.graph.initializer, model.graph.initializer);
    for (const picture of pictures.slice(0, 5)) {
      const expected = (await runModel(model, picture)).logits!;
      assert.ok(worst(expected, (await runModel(same, picture)).logits!) < 1e-3);
    }
  });
});

describe('a quantised network', () => {
  test('returns nearly the same scores as the float one, on the CPU and in the form for TensorRT', async () => {
    const model = network();
    const { models, choices, layers, agreement, holdout } = await quantizeModel(model, input, pictures, {
      output: LOGITS,
    });
    let [signal, cpuNoise, tensorrtNoise] = [0, 0, 0];
    for (const picture of pictures.slice(0, 10)) {
      const expected = (await runModel(model, planes(picture))).logits!;
      const cpu = (await runModel(models.cpu.model, picture)).logits!;
      const reals = planes(picture, { ...input, ...models.tensorrt.input });
      const tensorrt = (await runModel(models.tensorrt.model, reals)).logits!;
      for (const [i, value] of expected.entries()) {
        signal += value ** 2;
        cpuNoise += (value - cpu[i]!) ** 2;
        tensorrtNoise += (value - tensorrt[i]!) ** 2;
      }
    }
    const decibels = (noise: number) => 10 * Math.log10(signal / noise);
    assert.ok(decibels(cpuNoise) > 25, `cpu ${decibels(cpuNoise)} dB`);
    assert.ok(decibels(tensorrtNoise) > 18, `tensorrt ${decibels(tensorrtNoise)} dB`);
    assert.ok(agreement.cpu >= 0.9 && agreement.tensorrt >= 0.8, JSON.stringify(agreement));
    assert.equal(holdout, 10);
    const integer = choices.filter(({ float }) => float.layers.length === 0);
    assert.equal(integer.length, 6);
    assert.ok(choices.every(({ float }) => float.share <= 0.1));
    assert.deepEqual(
      layers.map(({ name }) => name),
      ['six', 'relu', 'third', 'sum', 'pooled_pooled', 'logits'],
    );
    assert.ok(
      layers.every((layer) => layer.decibels > 12),
      JSON.stringify(layers),
    );
  });

  test('multiplies integers after a pool and returns floats', async () => {
    const g = new GraphBuilder('head');
    const x = g.input('x', 'float', [1, 3, SIDE, SIDE]);
    const one = g.node('Conv', [x, g.constant('w1', normal(24), [8, 3, 1, 1])], {}, 'one');
    const pooled = g.node('GlobalAveragePool', [one], {}, 'pooled');
    const head = [pooled, g.constant('w2', normal(40), [5, 8, 1, 1]), g.constant('b2', normal(5), [5])];
    const answer = g.node('Conv', head, { kernel_shape: [1, 1] }, 'answer');
    g.node('Flatten', [answer], {}, 'logits');
    g.output('logits', [1, 5]);
    const model = g.build();
    const { models } = await quantizeModel(model, input, pictures, { output: LOGITS, methods: ['minmax'] });
    const { node } = models.cpu.model.graph;
    const product = node.find(({ opType }) => opType === 'Gemm')!;
    const after = node.filter((user) => user.input.includes(product.output[0]!));
    assert.deepEqual(
      after.map(({ opType }) => opType),
      ['Reshape'],
    );
    for (const picture of pictures.slice(0, 5)) {
      const expected = (await runModel(model, planes(picture))).logits!;
      const found = (await runModel(models.cpu.model, picture)).logits!;
      assert.ok(worst(expected, found) < 0.1 * Math.max(...expected.map(Math.abs)));
    }
  });

  test('has no activations for the CPU, and only zero points of 0 for TensorRT', async () => {
    const { models } = await quantizeModel(network(), input, pictures, {
      output: LOGITS,
      methods: ['minmax'],
    });
    const ops = models.cpu.model.graph.node.map(({ opType }) => opType);
    assert.ok(!ops.includes('Clip') && !ops.includes('Relu'), 'the limits of the integers replace them');
    const { graph } = models.tensorrt.model;
    const zeros = graph.node
      .filter(({ opType }) => /^(Deq|Q)uantizeLinear$/.test(opType))
      .map(({ input: names }) => graph.initializer.find(({ name }) => name === names[2])!);
    assert.ok(zeros.length > 15);
    for (const zero of zeros)
      assert.ok(zero.rawData.every((value) => value === 0) && zero.dataType === 3, zero.name);
    const tensorrtOps = graph.node.map(({ opType }) => opType);
    assert.ok(tensorrtOps.includes('Clip') && tensorrtOps.includes('Relu'));
  });

  test('may be grey', async () => {
    const g = new GraphBuilder('grey');
    const x = g.input('x', 'float', [1, 1, SIDE, SIDE]);
    const weights = g.constant('w1', normal(8 * 9), [8, 1, 3, 3]);
    const made = g.node('Conv', [x, weights], { kernel_shape: [3, 3], strides: [2, 2] }, 'made');
    const relu = g.node('Relu', [made], {}, 'relu');
    const flat = g.node('Flatten', [relu], {}, 'flat');
    g.node('Gemm', [flat, g.constant('w2', normal(72 * 5), [5, 72])], { transB: 1 }, 'logits');
    g.output('logits', [1, 5]);
    const grey = { ...input, channels: 1, mean: [127.5], scale: [1 / 127.5] } as const;
    const seen = pictures.map((picture) => picture.filter((_, index) => index % 3 === 0));
    const fed = { ...grey, mean: [...grey.mean], scale: [...grey.scale] };
    const model = g.build();
    const { models, agreement } = await quantizeModel(model, fed, seen, { output: LOGITS });
    assert.deepEqual(models.cpu.input, {
      ...{ name: 'image', type: 'uint8', layout: 'nhwc', channels: 1, mean: [0], scale: [1] },
    });
    assert.deepEqual(models.tensorrt.input.channels, 1);
    assert.ok(agreement.cpu >= 0.9 && agreement.tensorrt >= 0.9);
    for (const picture of seen.slice(0, 5)) {
      const reals = Float32Array.from(picture, (level) => level / 127.5 - 1);
      const expected = (await runModel(model, reals)).logits!;
      const found = (await runModel(models.cpu.model, picture)).logits!;
      assert.ok(worst(expected, found) < 0.1 * Math.max(...expected.map(Math.abs)));
    }
  });

  for (const op of ['AveragePool', 'MaxPool']) {
    test(`may begin with ${op} and pool again`, async () => {
      const g = new GraphBuilder('pool');
      const x = g.input('x', 'float', [1, 3, SIDE, SIDE]);
      const half = { kernel_shape: [2, 2], strides: [2, 2] };
      const small = g.node(op, [x], half, 'small');
      const smaller = g.node('AveragePool', [small], half, 'smaller');
      const flat = g.node('Flatten', [smaller], {}, 'flat');
      g.node('Gemm', [flat, g.constant('w', normal(5 * 12), [5, 12])], { transB: 1 }, 'logits');
      g.output('logits', [1, 5]);
      const plain = { ...input, mean: [128, 128, 128], scale: [1 / 64, 1 / 64, 1 / 64] };
      const model = g.build();
      const { models, agreement } = await quantizeModel(model, plain, pictures, { output: LOGITS });
      assert.equal(models.cpu.input.type, 'uint8');
      assert.ok(agreement.cpu >= 0.8 && agreement.tensorrt >= 0.8, JSON.stringify(agreement));
      for (const picture of pictures.slice(0, 5)) {
        const expected = (await runModel(model, planes(picture, plain))).logits!;
        const found = (await runModel(models.cpu.model, picture)).logits!;
        assert.ok(worst(expected, found) < 0.1 * Math.max(...expected.map(Math.abs)));
      }
    });
  }

  test('keeps the limits of an integer Clip in its float form', async () => {
    const g = new GraphBuilder('limited');
    const x = g.input('x', 'float', [1, 3, SIDE, SIDE]);
    const quantization = { scale: 0.05, zeroPoint: 100, type: 'uint8' } as const;
    const int = g.quantize(x, quantization, 'int');
    const turned = g.node('Transpose', [int], { perm: [0, 2, 3, 1] }, 'turned');
    const limits = [80, 220].map((limit) => g.constant(`limit${limit}`, Uint8Array.of(limit)));
    const limited = g.node('Clip', [turned, ...limits], {}, 'limited');
    g.alias(g.dequantize(limited, quantization), g.reserve('y'));
    g.output('y', [1, SIDE, SIDE, 3]);
    const model = g.build();
    const values = normal(3 * SIDE * SIDE, 6);
    const float = writeFloatGraph(dequantized(readFloatGraph(model)));
    assert.deepEqual(new Set(float.graph.node.map(({ opType }) => opType)).has('QuantizeLinear'), false);
    const [expected, found] = [(await runModel(model, values)).y!, (await runModel(float, values)).y!];
    assert.ok(worst(expected, found) <= 0.0251, 'half a step of the integers');
    for (const y of [expected, found]) {
      assert.ok(Math.abs(Math.min(...y) + 1) < 1e-5 && Math.abs(Math.max(...y) - 6) < 1e-5);
    }
  });

  test('can be turned back into floats and quantised again', async () => {
    const options = { output: LOGITS, methods: ['minmax'] } as const;
    const first = (await quantizeModel(network(), input, pictures, options)).models.cpu;
    const floats = writeFloatGraph(dequantized(readFloatGraph(first.model)));
    const ops = new Set(floats.graph.node.map(({ opType }) => opType));
    assert.ok(!ops.has('QuantizeLinear') && ops.has('Clip'));
    const second = (await quantizeModel(first.model, { ...input, ...first.input }, pictures, options)).models
      .cpu;
    for (const picture of pictures.slice(0, 5)) {
      const expected = (await runModel(first.model, picture)).logits!;
      assert.ok(worst(expected, (await runModel(floats, picture)).logits!) < 0.3);
      assert.ok(worst(expected, (await runModel(second.model, picture)).logits!) < 0.3);
    }
  });
});
