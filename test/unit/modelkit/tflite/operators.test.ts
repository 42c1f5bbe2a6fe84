import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { convertTflite } from '../../../../src/modelkit/tflite/convert.ts';
import { readTflite, type TfliteTensor } from '../../../../src/modelkit/tflite/read-tflite.ts';
import { Random } from '../../../../src/runtime/random.ts';
import { type Constant, int32s, type Node, TinyNet, type Whole } from '../../../support/tflite-nets.ts';
import { evaluate } from '../../../support/tflite-reference.ts';
import type { Option, WrittenOperator } from '../../../support/tflite-writer.ts';
import { runModel } from '../../model/run-model.ts';

const SHAPE = [1, 6, 8, 3];
const COUNT = 6 * 8 * 3;
type Made = Pick<Node, 'shape'> & Partial<Node>;
type Code = WrittenOperator['code'];

/** Applies one or a few operators to the image itself: the results may then differ by one step at most. */
async function agrees(
  build: (net: TinyNet) => void,
  { int = 'int8', shape = SHAPE, worst = 1 }: { int?: Whole; shape?: number[]; worst?: number } = {},
): Promise<void> {
  const net = new TinyNet(3, int, 0, { shape });
  build(net);
  net.apply('RESHAPE', [net.at, int32s(1, -1)], [{ shape: [1, net.at.shape.reduce((a, b) => a * b, 1)] }]);
  const { scale } = net.at;
  const source = readTflite(net.write());
  const { model } = convertTflite(source, 'net.tflite');
  const [output] = source.outputs as [TfliteTensor];
  const random = new Random(11);
  const picture = Uint8Array.from({ length: COUNT }, () => Math.floor(random.range(0, 256)));
  // Planes in the file are transposed, as the caller of such a model does.
  const fed =
    shape[1] === 3
      ? Uint8Array.from(picture, (_, i) => picture[(i % (COUNT / 3)) * 3 + Math.floor(i / (COUNT / 3))]!)
      : picture;
  const shift = int === 'int8' ? 128 : 0;
  const values = evaluate(
    source,
    Int32Array.from(fed, (pixel) => pixel - shift),
    'single',
  ).get(output)!;
  const { scores } = await runModel(model, picture);
  const steps = (score: number) => score / scale + (output.zeroPoints[0] ?? 0);
  assert.equal(scores!.length, values.length);
  const off = Array.from(scores!, (score, i) => Math.abs(steps(score) - values[i]!));
  assert.ok(Math.max(...off) < worst + 0.01, `differs by ${Math.max(...off)} steps`);
}

const half = { scale: 1 / 100, zeroPoint: 3 };

describe('elementwise operators:', () => {
  const formulas: [Code, Option[], Partial<Node>][] = [
    ['LEAKY_RELU', [[0, 'float32', 0.2]], half],
    ['HARD_SWISH', [], half],
    ['GELU', [[0, 'int8', 0]], half],
    ['GELU', [[0, 'int8', 1]], half],
    ['LOGISTIC', [], { scale: 1 / 256, zeroPoint: -128 }],
    ['TANH', [], { scale: 1 / 128, zeroPoint: 0 }],
    ['ELU', [], half],
    ['ABS', [], half],
    ['EXP', [], { scale: 1 / 80, zeroPoint: -128 }],
    ['SQUARE', [], half],
  ];
  for (const [code, options, made] of formulas) {
    const form = options.map(([, , value]) => value).join();
    test(`${code} ${form}`, () =>
      agrees((net) => net.apply(code, [net.at], [{ ...made, shape: SHAPE }], options)));
  }

  test('SQRT and RSQRT of numbers above zero', () =>
    agrees((net) => {
      net.apply('EXP', [net.at], [{ shape: SHAPE, scale: 1 / 80, zeroPoint: -128 }]);
      net.apply('SQRT', [net.at], [{ shape: SHAPE, scale: 1 / 100, zeroPoint: -128 }]);
      net.apply('RSQRT', [net.at], [{ shape: SHAPE, scale: 1 / 100, zeroPoint: -128 }]);
    }));

  test('NEG of floats between integers, as in a normalisation over channels', async () => {
    const net = new TinyNet(3, 'int8', 0, { shape: [1, 1, 8, 3] });
    const { scale, zeroPoint } = net.at;
    net.dequantize();
    const made = net.apply('NEG', [net.at], [{ shape: [1, 1, 8, 3] }])[0]!;
    Object.assign(net.tensors[made.index]!, { type: 'float32', scales: [], zeroPoints: [] });
    net.apply('QUANTIZE', [made], [{ shape: [1, 1, 8, 3], scale, zeroPoint: 0 }]);
    net.reshape([1, 24]);
    const random = new Random(5);
    const bytes = Array.from({ length: 24 }, () => Math.floor(random.range(0, 256)));
    for (const [i, score] of (await scoresOf(net)).entries()) {
      const int = bytes[i]! - 128;
      assert.equal(Math.round(score / scale), Math.max(-128, Math.min(127, zeroPoint - int)));
    }
  });

  test('NEG of integers is refused', () => {
    const net = new TinyNet(3, 'int8', 0, { shape: [1, 1, 8, 3] });
    net.apply('NEG', [net.at], [{ shape: [1, 1, 8, 3] }]);
    net.reshape([1, 24]);
    assert.throws(() => convertTflite(readTflite(net.write()), 'net.tflite'), {
      code: 'MODEL_OPERATOR_UNSUPPORTED',
      message: /has an integer input/,
    });
  });

  test('PRELU with a slope for each channel', () =>
    agrees((net) =>
      net.apply('PRELU', [net.at, net.constantOf([1, 1, 3], 1 / 90)], [{ ...half, shape: SHAPE }]),
    ));

  test('a LOGISTIC inside a network is rounded as in the file; the last one is not rounded', async () => {
    const net = new TinyNet(3, 'int8', 0, { shape: [1, 1, 8, 3] });
    net.apply('LOGISTIC', [net.at], [{ shape: [1, 1, 8, 3], scale: 1 / 256, zeroPoint: -128 }]);
    net.reshape([1, 24]);
    const finer = await scoresOf(net);
    net.apply(
      'MUL',
      [net.at, net.constantOf([1], 1)],
      [{ shape: [1, 24], scale: 1, zeroPoint: 0 }],
      [[0, 'int8', 0]],
    );
    const { graph } = convertTflite(readTflite(net.write()), 'net.tflite').model;
    assert.ok(finer.some((score) => Math.abs(score * 256 - Math.round(score * 256)) > 0.1));
    assert.equal(graph.node.filter(({ opType }) => opType === 'QuantizeLinear').length, 2);
  });
});

async function scoresOf(net: TinyNet): Promise<Float32Array> {
  const { model } = convertTflite(readTflite(net.write()), 'net.tflite');
  const random = new Random(5);
  const { scores } = await runModel(
    model,
    Uint8Array.from({ length: 24 }, () => Math.floor(random.range(0, 256))),
  );
  return scores!;
}

describe('operators on two values:', () => {
  for (const code of ['ADD', 'SUB', 'MUL', 'MAXIMUM', 'MINIMUM', 'SQUARED_DIFFERENCE'] as const) {
    test(`${code} with a constant of each shape`, async () => {
      for (const shape of [[], [1], [3], [1, 1, 3], [8, 1], [6, 1, 1], SHAPE]) {
        await agrees((net) =>
          net.apply(
            code,
            [net.at, net.constantOf(shape, 1 / 90)],
            [{ ...half, shape: SHAPE }],
            [[0, 'int8', 0]],
          ),
        );
      }
    });
  }

  test('a constant as the first operand', () =>
    agrees((net) => net.apply('SUB', [net.constantOf([3], 1 / 90), net.at], [{ ...half, shape: SHAPE }])));

  test('DIV of unsigned integers', () =>
    agrees(
      (net) =>
        net.apply(
          'DIV',
          [net.at, net.constantOf([3], 1 / 90, 0)],
          [{ scale: 1 / 50, zeroPoint: 120, shape: SHAPE }],
        ),
      { int: 'uint8' },
    ));

  test('ties of a sum with a constant round up', () =>
    agrees(
      (net) => {
        // As ÷ 127.5 − 1 before a network: each step is one and a half steps of the sum.
        net.at.scale = net.tensors[0]!.scales![0] = 3 / 128;
        const one: Constant = {
          shape: [],
          type: 'int8',
          scales: [1 / 64],
          zeroPoints: [0],
          data: Int8Array.of(-64),
        };
        net.apply('ADD', [net.at, one], [{ scale: 1 / 64, zeroPoint: 0, shape: SHAPE }]);
      },
      { worst: 0 },
    ));

  test('a factor for each channel that is computed from the image, as in squeeze-and-excitation', () =>
    agrees(
      (net) => {
        const picture = net.at;
        net.apply('MEAN', [picture, int32s(1, 2)], [{ ...half, shape: [1, 1, 1, 3] }], [[0, 'int8', 1]]);
        net.apply('LOGISTIC', [net.at], [{ scale: 1 / 256, zeroPoint: -128, shape: [1, 1, 1, 3] }]);
        net.apply('MUL', [picture, net.at], [{ ...half, shape: SHAPE }], [[0, 'int8', 0]]);
      },
      { worst: 2 },
    ));

  test('the same without the two axes, and from planes', () =>
    agrees(
      (net) => {
        const picture = net.at;
        net.apply('TRANSPOSE', [picture, int32s(0, 3, 1, 2)], [{ shape: [1, 3, 6, 8] }]);
        net.apply('MEAN', [net.at, int32s(2, 3)], [{ ...half, shape: [1, 3] }], [[0, 'int8', 0]]);
        net.apply('MUL', [net.at, picture], [{ ...half, shape: SHAPE }], [[0, 'int8', 0]]);
      },
      { worst: 2 },
    ));

  test('BATCH_MATMUL with one side transposed', () =>
    agrees((net) => {
      net.apply('RESHAPE', [net.at, int32s(1, 48, 3)], [{ shape: [1, 48, 3] }]);
      const left = net.at;
      net.apply(
        'BATCH_MATMUL',
        [left, left],
        [{ scale: 1 / 40, zeroPoint: 0, shape: [1, 48, 48] }],
        [
          [0, 'int8', 0],
          [1, 'int8', 1],
        ],
      );
    }));
});

describe('reductions:', () => {
  for (const int of ['uint8', 'int8'] as const) {
    test(`AVERAGE_POOL_2D of ${int} rounds ties as TensorFlow Lite does`, () =>
      agrees(
        (net) => {
          net.pool('AVERAGE_POOL_2D', 2, 1);
          net.pool('AVERAGE_POOL_2D', 2, 2, true);
        },
        { int, worst: 0 },
      ));
  }

  const reductions: [Code, number[], number[]][] = [
    ['MEAN', [1, 2], [1, 3]],
    ['MEAN', [-1], [1, 6, 8]],
    ['MEAN', [2], [1, 6, 3]],
    ['SUM', [1, 2], [1, 3]],
    ['REDUCE_MAX', [1, 2], [1, 3]],
    ['REDUCE_MAX', [3], [1, 6, 8]],
  ];
  for (const [code, axes, shape] of reductions) {
    test(`${code} along ${axes.join()}`, () =>
      agrees((net) => {
        const scale = code === 'SUM' ? 1 / 5 : net.at.scale;
        net.apply(code, [net.at, int32s(...axes)], [{ shape, scale }], [[0, 'int8', 0]]);
      }));
  }

  test('L2_NORMALIZATION, LOG_SOFTMAX', async () => {
    await agrees((net) =>
      net.apply('L2_NORMALIZATION', [net.at], [{ shape: SHAPE, scale: 1 / 128, zeroPoint: 0 }]),
    );
    await agrees((net) =>
      net.apply('LOG_SOFTMAX', [net.at], [{ shape: SHAPE, scale: 16 / 256, zeroPoint: 127 }]),
    );
  });
});

describe('operators that only move numbers:', () => {
  const turned = (shape: number[], order: number[]) => order.map((axis) => shape[axis]!);
  for (const order of [
    [0, 3, 1, 2],
    [0, 2, 1, 3],
    [0, 2, 3, 1],
    [3, 0, 2, 1],
  ]) {
    test(`TRANSPOSE by ${order.join()}`, () =>
      agrees((net) => net.apply('TRANSPOSE', [net.at, int32s(...order)], [{ shape: turned(SHAPE, order) }]), {
        worst: 0,
      }));
  }

  test('an input of planes, as PyTorch exporters write it', async () => {
    const shape = [1, 3, 6, 8];
    await agrees(() => {}, { shape, worst: 0 });
    await agrees(
      (net) => {
        net.apply('TRANSPOSE', [net.at, int32s(0, 2, 3, 1)], [{ shape: SHAPE }]);
        net.pool('MAX_POOL_2D', 2, 2);
      },
      { shape, worst: 0 },
    );
  });

  test('channel shuffles between groups', () =>
    agrees(
      (net) => {
        net.apply(
          'CONCATENATION',
          [net.at, net.at],
          [{ shape: [1, 6, 8, 6] }],
          [
            [0, 'int32', 3],
            [1, 'int8', 0],
          ],
        );
        net.reshape([1, 6, 8, 2, 3]);
        net.apply('TRANSPOSE', [net.at, int32s(0, 1, 2, 4, 3)], [{ shape: [1, 6, 8, 3, 2] }]);
        net.reshape([1, 6, 8, 6]).pool('MAX_POOL_2D', 2, 2);
      },
      { worst: 0 },
    ));

  test('CONCATENATION of values with the same scale, along any axis', async () => {
    for (const axis of [1, 2, 3, -1]) {
      const shape = SHAPE.with(axis < 0 ? 3 : axis, 2 * SHAPE.at(axis)!);
      await agrees(
        (net) =>
          net.apply(
            'CONCATENATION',
            [net.at, net.at],
            [{ shape }],
            [
              [0, 'int32', axis],
              [1, 'int8', 0],
            ],
          ),
        { worst: 0 },
      );
    }
  });

  test('CONCATENATION of values with different scales, and of a constant', () =>
    agrees(
      (net) => {
        const picture = net.at;
        net.apply('TANH', [picture], [{ shape: SHAPE, scale: 1 / 128, zeroPoint: 128 }]);
        net.apply(
          'CONCATENATION',
          [picture, net.at, net.constantOf(SHAPE, 1 / 50)],
          [{ shape: [1, 6, 8, 9], scale: 1 / 70, zeroPoint: 100 }],
          [
            [0, 'int32', 3],
            [1, 'int8', 0],
          ],
        );
      },
      { int: 'uint8' },
    ));

  const cuts: [string, Code, (net: TinyNet) => (Node | Constant)[], Made[], Option[]][] = [
    [
      'SPLIT',
      'SPLIT',
      ({ at }) => [int32s(2), at],
      [{ shape: [1, 6, 4, 3] }, { shape: [1, 6, 4, 3] }],
      [[0, 'int32', 2]],
    ],
    [
      'SPLIT_V',
      'SPLIT_V',
      ({ at }) => [at, int32s(2, -1), int32s(-1)],
      [{ shape: [1, 6, 8, 2] }, { shape: [1, 6, 8, 1] }],
      [[0, 'int32', 2]],
    ],
    [
      'UNPACK',
      'UNPACK',
      ({ at }) => [at],
      [0, 1, 2].map(() => ({ shape: [1, 6, 8] })),
      [
        [0, 'int32', 3],
        [1, 'int32', 3],
      ],
    ],
    [
      'SLICE',
      'SLICE',
      ({ at }) => [at, int32s(0, 1, 2, 1), int32s(1, -1, 4, 2)],
      [{ shape: [1, 5, 4, 2] }],
      [],
    ],
    [
      'STRIDED_SLICE with masks',
      'STRIDED_SLICE',
      ({ at }) => [at, int32s(0, 1, 5, -1), int32s(0, 6, 0, 0), int32s(1, 2, 2, 1)],
      [{ shape: [1, 3, 4] }],
      [
        [0, 'int32', 4],
        [1, 'int32', 5],
        [4, 'int32', 8],
      ],
    ],
    [
      'STRIDED_SLICE backwards, as red and blue are swapped',
      'STRIDED_SLICE',
      ({ at }) => [at, int32s(0, 0, 0, 0), int32s(0, 0, 0, 0), int32s(1, 1, 1, -1)],
      [{ shape: SHAPE }],
      [
        [0, 'int32', 15],
        [1, 'int32', 15],
      ],
    ],
    ['REVERSE_V2', 'REVERSE_V2', ({ at }) => [at, int32s(3)], [{ shape: SHAPE }], []],
    ['GATHER', 'GATHER', ({ at }) => [at, int32s(2, 0)], [{ shape: [1, 6, 8, 2] }], [[0, 'int32', 3]]],
    ['SPACE_TO_DEPTH', 'SPACE_TO_DEPTH', ({ at }) => [at], [{ shape: [1, 3, 4, 12] }], [[0, 'int32', 2]]],
    ['EXPAND_DIMS', 'EXPAND_DIMS', ({ at }) => [at, int32s(1)], [{ shape: [1, 1, 6, 8, 3] }], []],
    [
      'PACK',
      'PACK',
      ({ at }) => [at, at],
      [{ shape: [1, 2, 6, 8, 3] }],
      [
        [0, 'int32', 2],
        [1, 'int32', 1],
      ],
    ],
    [
      'PAD of channels',
      'PAD',
      ({ at }) => [at, int32s(0, 0, 0, 0, 0, 0, 1, 4)],
      [{ shape: [1, 6, 8, 8] }],
      [],
    ],
  ];
  for (const [name, code, inputs, made, options] of cuts) {
    test(`${name}, every part`, async () => {
      for (const part of made.keys()) {
        await agrees(
          (net) => {
            net.at = net.apply(code, inputs(net), made, options)[part]!;
          },
          { worst: 0 },
        );
      }
    });
  }
});
