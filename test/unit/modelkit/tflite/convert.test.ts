import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { convertTflite } from '../../../../src/modelkit/tflite/convert.ts';
import { readTflite, type TfliteTensor } from '../../../../src/modelkit/tflite/read-tflite.ts';
import { Random } from '../../../../src/runtime/random.ts';
import { TinyNet } from '../../../support/tflite-nets.ts';
import { evaluate } from '../../../support/tflite-reference.ts';
import { type WrittenOperator, writeTflite, writeTfliteOutside } from '../../../support/tflite-writer.ts';
import { runModel } from '../../model/run-model.ts';

const SIDE = 17;
const random = new Random(8);
const pictures = Array.from({ length: 3 }, () =>
  Uint8Array.from({ length: SIDE * SIDE * 3 }, () => Math.floor(random.range(0, 256))),
);

/** Compares the converted network with the reference; they may differ by two steps of the last layer. */
async function agrees(net: TinyNet, step: number): Promise<void> {
  const source = readTflite(net.write());
  const { model } = convertTflite(source, 'net.tflite');
  // A float input is quantised first; the reference starts after that.
  const pixels = source.operators.find(
    ({ name, inputs }) => name === 'QUANTIZE' && inputs[0]!.type === 'float32',
  );
  const input = pixels?.outputs[0] ?? source.inputs[0]!;
  const whole = { ...source, inputs: [input], operators: source.operators.filter((o) => o !== pixels) };
  const [output] = source.outputs as [TfliteTensor];
  for (const picture of pictures) {
    const shift = input.type === 'int8' ? 128 : 0;
    const values = evaluate(
      whole,
      Int32Array.from(picture, (pixel) => pixel - shift),
      'single',
    ).get(output)!;
    const zero = output.zeroPoints[0] ?? 0;
    const expected =
      values instanceof Float32Array ? values : Float32Array.from(values, (value) => (value - zero) * step);
    const { scores } = await runModel(model, picture);
    assert.equal(scores!.length, expected.length);
    const worst = Math.max(...expected.map((value, i) => Math.abs(value - scores![i]!) / step));
    assert.ok(worst <= 2.01, `differs by ${worst} steps`);
  }
}

test('constants after the FlatBuffer and an input of any batch size make the same model', () => {
  const net = new TinyNet(9, 'int8', SIDE, { perChannel: true }).conv(8, 3, 2).mean().dense(4).softmax();
  const convert = (bytes: Uint8Array) => convertTflite(readTflite(bytes), 'net.tflite').model;
  const model = net.model();
  const plain = convert(writeTflite(model));
  model.tensors[0]!.signature = [-1, SIDE, SIDE, 3];
  assert.deepEqual(convert(writeTfliteOutside(model)), plain);
});

describe('the conversion agrees with the integer reference for', () => {
  test('uint8: convolution, depthwise, shortcut, global pool, dense layer, softmax', async () => {
    const net = new TinyNet(1, 'uint8', SIDE).conv(8, 3, 2);
    const shortcut = net.at;
    net.conv(16, 1, 1).depthwise(1).conv(8, 1, 1, { activation: 0 }).add(shortcut);
    net.pool('AVERAGE_POOL_2D', 9, 9, true).dense(5).softmax();
    await agrees(net, 1 / 50);
  });

  test('int8 with a scale for each channel: padding, valid windows, mean', async () => {
    const net = new TinyNet(2, 'int8', SIDE, { perChannel: true }).pad(0).conv(8, 3, 2, { valid: true });
    net.depthwise(2, { multiplier: 2 }).pad(1).depthwise(1, { valid: true }).conv(12, 1, 1).mean().dense(4);
    await agrees(net, net.at.scale);
  });

  test('float input and output around an integer network, flattened features', async () => {
    const net = new TinyNet(3, 'int8', SIDE, { perChannel: true, floats: true }).conv(6, 5, 3);
    net
      .pool('MAX_POOL_2D', 2, 2)
      .reshape([1, 3 * 3 * 6])
      .dense(10, { activation: 1 })
      .dense(3);
    await agrees(net.dequantize(), net.at.scale);
  });

  test('constants, dilation, pools with padding, separate activations, requantising, squeezing', async () => {
    const net = new TinyNet(4, 'uint8', SIDE)
      .constant('MUL')
      .constant('ADD')
      .conv(8, 3, 1, { dilation: 2, activation: 0 });
    net.relu('RELU6').pool('AVERAGE_POOL_2D', 3, 2).requantize(1.3).pool('MAX_POOL_2D', 3, 2).pad(1);
    net.pool('MAX_POOL_2D', 3, 3, true).conv(4, 2, 2, { activation: 0, valid: true });
    net.reshape([1, 4], 'SQUEEZE');
    await agrees(net, net.at.scale);
  });

  test('a ReLU whose output type allows negative numbers', async () => {
    const net = new TinyNet(5, 'int8', SIDE).conv(6, 3, 2, { activation: 1 });
    net.tensors.at(-1)!.zeroPoints = [-90];
    net.at.zeroPoint = -90;
    net.mean(true).dense(4);
    await agrees(net, net.at.scale);
  });

  test('a dense layer for every place of the image', async () => {
    const net = new TinyNet(13, 'int8', SIDE, { perChannel: true }).conv(12, 3, 6);
    net.reshape([1, 9, 12]).dense(5, { activation: 1, each: true }).reshape([1, 45]).dense(4);
    await agrees(net, net.at.scale);
  });

  test('shapes that are computed for any batch size', async () => {
    const net = new TinyNet(14, 'int8', SIDE, { perChannel: true }).conv(12, 3, 6);
    net.reshape([1, 9, 12]).dense(5, { activation: 1, each: true }).reshape([1, 45]).dense(4);
    // The file states neither the shape of the dense layer's input rows nor that of its results.
    const shape = net.tensors.push({ name: 'worked out', shape: [2], type: 'int32' }) - 1;
    const [, before, each] = net.operators as [unknown, WrittenOperator, WrittenOperator];
    before.inputs[1] = shape;
    net.operators.unshift({ code: 'SHAPE', inputs: [0], outputs: [shape] });
    net.tensors[before.outputs[0]!]!.shape = [1, 1];
    net.tensors[each.outputs[0]!]!.shape = [1, 5];
    await agrees(net, net.at.scale);
  });

  test('padding with any number, and activations between 0 or −1 and 1 as operators', async () => {
    const net = new TinyNet(11, 'int8', SIDE, { perChannel: true }).pad(1, 90).conv(8, 3, 2, { valid: true });
    net.pad(1, -128).depthwise(1, { valid: true, activation: 0 }).relu('RELU_N1_TO_1');
    net.pad(1, 40).pool('MAX_POOL_2D', 2, 2).conv(8, 1, 1, { activation: 2 }).relu('RELU_0_TO_1');
    await agrees(net.mean().dense(4), net.at.scale);
  });
});

test('scores that the file requantises to another type keep their precision', async () => {
  const net = new TinyNet(12, 'int8', SIDE).conv(8, 3, 2).mean().dense(4).softmax();
  const plain = convertTflite(readTflite(net.write()), 'net.tflite').model;
  net.requantize(1);
  const again = convertTflite(readTflite(net.write()), 'net.tflite');
  assert.equal(again.output.kind, 'probabilities');
  assert.deepEqual(await runModel(again.model, pictures[0]!), await runModel(plain, pictures[0]!));
});

test('weights too large for int8 around zero are split between a channel and its copy', async () => {
  const net = new TinyNet(9, 'uint8', SIDE)
    .conv(16, 3, 2)
    .conv(24, 1, 1)
    .depthwise(1)
    .conv(16, 1, 1, { activation: 0 });
  const shortcut = net.at;
  net.conv(24, 1, 1).depthwise(1).conv(16, 1, 1, { activation: 0 }).add(shortcut);
  net.conv(32, 1, 1).pool('AVERAGE_POOL_2D', 9, 9, true).dense(5);
  for (const { shape, data, zeroPoints, name } of net.tensors) {
    if (name !== 'weights' || !(data instanceof Uint8Array)) continue;
    zeroPoints![0] = 120;
    // 255 is 135 steps from zero.
    if (shape[1] === 1) data.set([255, 3, 7], shape[3]! + 1);
  }
  await agrees(net, net.at.scale);
  const { graph } = convertTflite(readTflite(net.write()), 'net.tflite').model;
  const layers = graph.node.filter(({ opType }) => opType === 'Conv').map(({ input }) => input[1]!);
  const zeros = layers.map((name) => {
    const dequantize = graph.node.find(({ output }) => output[0] === name)!;
    return new Int8Array(graph.initializer.find((tensor) => tensor.name === dequantize.input[2])!.rawData)[0];
  });
  const pointwise = [1, 3, 4, 6, 7];
  assert.deepEqual(
    pointwise.map((index) => zeros[index]),
    [0, 0, 0, 0, 0],
  );
  assert.deepEqual(
    graph.initializer.find(({ name }) => name.startsWith('CONV_2D_1_w'))!.dims,
    [32, 24, 1, 1],
  );
});

test('the scores of a logistic output are probabilities', async () => {
  const net = new TinyNet(6, 'int8', SIDE).conv(6, 3, 2).mean().dense(3).logistic();
  const { model, output } = convertTflite(readTflite(net.write()), 'net.tflite');
  assert.deepEqual(output, { name: 'scores', kind: 'probabilities' });
  const { scores } = await runModel(model, pictures[0]!);
  assert.equal(scores!.length, 3);
  assert.ok(scores!.every((score) => score > 0 && score < 1));
});

test('the pooled features are a second output on request', async () => {
  const net = new TinyNet(7, 'uint8', SIDE)
    .conv(6, 3, 2)
    .pool('AVERAGE_POOL_2D', 9, 9, true)
    .dense(3)
    .softmax();
  const source = readTflite(net.write());
  assert.equal(convertTflite(source, 'net.tflite').embedding, null);
  const { model, embedding } = convertTflite(source, 'net.tflite', { embedding: true });
  assert.deepEqual(embedding, { name: 'embedding', size: 6 });
  const results = await runModel(model, pictures[0]!);
  assert.equal(results.embedding!.length, 6);
  assert.equal(results.scores!.length, 3);
});
