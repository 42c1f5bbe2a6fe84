import { encodeModel } from '../../src/model/onnx.ts';
import { GraphBuilder, type Quantization } from '../../src/model/onnx-graph.ts';
import { Seeded } from './random.ts';

/** Pixels of a side of the input. */
const SIDE = 12;

/** Bytes of one input of a random net. */
export const INPUT_BYTES = 3 * SIDE * SIDE;

/** A value of whole numbers. */
interface Whole {
  name: string;
  channels: number;
  side: number;
  quantization: Quantization;
}

/** The weights of a layer. */
interface Numbers {
  data: Int8Array;
  dims: number[];
  scales: Float32Array;
  zeroPoint: number;
}

/** What a step of a weight stands for, more or less. */
const SCALE = 1 / 100;

interface Shape {
  out: number;
  kernel?: number;
  stride?: number;
  group?: number;
  activation?: 'Clip' | 'Relu' | 'HardSwish' | null;
}

/**
 * A quantised net like a MobileNetV2, with whatever else such nets are made of: odd numbers of channels, windows, groups,
 * shared weights, one scale or one for each channel, few large weights or many. Its sums are clipped on processors without
 * VNNI. Outputs: the last feature map and the scores.
 * @param shared whether layers may share weights; otherwise each has its own, with the same numbers
 */
export function randomNet(seed: number, { shared = true } = {}): Uint8Array {
  return new RandomNet(seed, shared).build();
}

class RandomNet {
  readonly #random: Seeded;
  readonly #graph: GraphBuilder;
  readonly #perChannel: boolean;
  /** Share of the weights that are large. */
  readonly #large: number;
  readonly #shared: boolean;
  #count = 0;

  constructor(seed: number, shared: boolean) {
    this.#shared = shared;
    this.#random = new Seeded(seed);
    this.#graph = new GraphBuilder(`net ${seed}`);
    this.#perChannel = this.#random.chance(0.5);
    this.#large = this.#random.pick([0.004, 0.03, 0.2]);
  }

  build(): Uint8Array {
    const random = this.#random;
    const graph = this.#graph;
    const input = graph.input('image', 'uint8', [1, 3, SIDE, SIDE]);
    const quantization = { scale: 1 / 128, zeroPoint: 128, type: 'uint8' } as const;
    const image = { name: input, channels: 3, side: SIDE, quantization };
    const width = random.pick([8, 12, 15, 16, 20, 32]);
    let value = this.#conv(image, { out: width, kernel: 3, stride: 2, activation: 'Relu' });
    for (let block = random.int(1, 3); block > 0; block--) value = this.#block(value);
    if (random.chance(0.4)) value = this.#conv(value, { out: 16, kernel: 3, activation: 'Relu' });
    if (random.chance(0.3) && value.channels % 4 === 0) value = this.#conv(value, { out: 16, group: 4 });
    if (random.chance(0.3)) value = this.#twice(value);
    const features = this.#conv(value, { out: random.pick([24, 40, 48]), activation: 'Relu' });
    graph.alias(graph.dequantize(features.name, features.quantization), graph.reserve('features'));
    graph.output('features', [1, features.channels, features.side, features.side]);
    const pooled = graph.node('GlobalAveragePool', [
      graph.dequantize(features.name, features.quantization, 'to_pool'),
    ]);
    graph.alias(
      this.#scores(graph.quantize(pooled, features.quantization), features),
      graph.reserve('scores'),
    );
    graph.output('scores', [1, 10]);
    return encodeModel(graph.build());
  }

  /** Expand, filter each channel, project; and the input added, if it fits. */
  #block(input: Whole): Whole {
    const random = this.#random;
    const activation = random.pick(['Clip', 'Relu', 'HardSwish'] as const);
    const wide = this.#conv(input, { out: input.channels * random.pick([1, 3, 4]), activation });
    const filtered = this.#conv(wide, { out: wide.channels, kernel: 3, group: wide.channels, activation });
    const stays = random.chance(0.7);
    const narrow = this.#conv(filtered, { out: stays ? input.channels : random.pick([16, 24]) });
    if (!stays) return narrow;
    const parts = [input, narrow].map(({ name, quantization }) => this.#graph.dequantize(name, quantization));
    const quantization = { scale: narrow.quantization.scale * 1.5, zeroPoint: 120, type: 'uint8' } as const;
    return {
      ...narrow,
      name: this.#graph.quantize(this.#graph.node('Add', parts), quantization),
      quantization,
    };
  }

  /** The same weights two times, one after the other. */
  #twice(input: Whole): Whole {
    const shape = { out: input.channels };
    const numbers = this.#numbers(input.channels, input.channels, 1);
    const weights = this.#weights(numbers);
    const once = this.#apply(input, weights, numbers.scales, shape);
    return this.#apply(once, this.#shared ? weights : this.#weights(numbers), numbers.scales, shape);
  }

  #conv(input: Whole, shape: Shape): Whole {
    const { out, kernel = 1, group = 1 } = shape;
    const numbers = this.#numbers(out, input.channels / group, kernel);
    return this.#apply(input, this.#weights(numbers), numbers.scales, shape);
  }

  #apply(input: Whole, weights: string, scales: Float32Array, shape: Shape): Whole {
    const { out, kernel = 1, stride = 1, group = 1, activation = null } = shape;
    const graph = this.#graph;
    const sums = Int32Array.from({ length: out }, () => this.#random.int(-4000, 4000));
    const steps = scales.map((scale) => Math.fround(scale * input.quantization.scale));
    const bias = graph.dequantizedConstant(`bias${this.#count}`, sums, [out], steps);
    const attributes = {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      group,
      pads: kernel === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0],
    };
    const inputs = [graph.dequantize(input.name, input.quantization), weights, bias];
    let real = graph.node('Conv', inputs, attributes, `conv${this.#count++}`);
    // A few times the spread of such sums: some outputs are cut off.
    const spread = input.quantization.scale * SCALE * 100 * 30 * Math.sqrt((input.channels / group) * kernel);
    const quantization: Quantization = {
      scale: spread / 100,
      zeroPoint: activation ? 0 : 128,
      type: 'uint8',
    };
    if (activation === 'Clip') {
      const limits = [0, 200 * quantization.scale].map((limit) =>
        graph.constant('limit', Float32Array.of(limit)),
      );
      real = graph.node('Clip', [real, ...limits]);
    } else if (activation === 'HardSwish') {
      const gate = graph.node('HardSigmoid', [real], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } });
      real = graph.node('Mul', [real, gate]);
    } else if (activation) real = graph.node(activation, [real]);
    const side = Math.ceil(input.side / stride);
    return { name: graph.quantize(real, quantization), channels: out, side, quantization };
  }

  #numbers(out: number, channels: number, kernel: number): Numbers {
    const random = this.#random;
    const data = Int8Array.from({ length: out * channels * kernel * kernel }, () =>
      random.chance(this.#large)
        ? random.pick([-128, -127, 127, random.int(-127, 127)])
        : random.int(-30, 30),
    );
    const scales = this.#perChannel
      ? Float32Array.from({ length: out }, () => SCALE * (0.7 + 0.6 * random.next()))
      : Float32Array.of(SCALE);
    return { data, scales, dims: [out, channels, kernel, kernel], zeroPoint: random.chance(0.15) ? 3 : 0 };
  }

  /** @returns the name of the real weights */
  #weights({ data, dims, scales, zeroPoint }: Numbers): string {
    return this.#graph.dequantizedConstant('weights', data, dims, scales, { zeroPoint });
  }

  /** A convolution or a matrix product. */
  #scores(pooled: string, { channels, quantization }: Whole): string {
    const graph = this.#graph;
    const random = this.#random;
    const kind = random.pick(['Conv', 'Gemm', 'MatMul'] as const);
    const flat = (name: string) => graph.node('Flatten', [name], { axis: 1 });
    const answer = { scale: 0.5, zeroPoint: 128, type: 'uint8' } as const;
    const real = graph.dequantize(pooled, quantization);
    if (kind === 'Conv') {
      const weights = this.#weights(this.#numbers(10, channels, 1));
      const sums = graph.node('Conv', [real, weights], { kernel_shape: [1, 1] });
      return flat(graph.dequantize(graph.quantize(sums, answer), answer));
    }
    const turned = kind === 'Gemm' && random.chance(0.5);
    const data = Int8Array.from({ length: 10 * channels }, () => random.int(-127, 127));
    const dims = turned ? [10, channels] : [channels, 10];
    const weights = graph.dequantizedConstant('matrix', data, dims, Float32Array.of(0.01));
    const rows = graph.dequantize(graph.quantize(flat(real), quantization), quantization);
    const sums = graph.node(kind, [rows, weights], turned ? { transB: 1 } : {});
    return graph.dequantize(graph.quantize(sums, answer), answer);
  }
}
