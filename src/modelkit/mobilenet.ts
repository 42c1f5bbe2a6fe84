/**
 * The MobileNet families as float graphs with seeded weights.
 *
 * V1: Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
 * table 1. V2: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", tables 1 and 2.
 * The graph has no batch normalisation: at inference it is folded into the convolution before it.
 */

import type { OnnxModel } from '../model/onnx.ts';
import { GraphBuilder } from '../model/onnx-graph.ts';
import { Random } from '../runtime/random.ts';

export interface FamilyOptions {
  family: 'v1' | 'v2';
  /** Width multiplier: scales the number of channels everywhere. */
  width: number;
  /** Side of the square input in pixels. */
  resolution: number;
  classes: number;
  /** Expansion factor of the inverted residuals (V2 only). */
  expansion: number;
  seed: number;
  /** Also output the pooled features, as `embedding` 1×C. */
  embedding?: boolean;
}

/** A convolution with its bias, by the names of the graph's tensors. */
export interface Layer {
  weights: string;
  bias: string;
  /** The output of the convolution, before any activation. */
  result: string;
  channels: number;
}

export interface Family {
  model: OnnxModel;
  /** In graph order; the last one is the classifier. */
  layers: Layer[];
  /** Number of pooled features, the input of the classifier. */
  features: number;
  /** Weights and the classifier's biases, as papers count them (without batch normalisation). */
  parameters: number;
  /** Multiply-adds for one image. */
  multiplyAdds: number;
}

/** Output channels, repeats and stride of the blocks between the first and the last convolution (V2, table 2). */
const V2_BLOCKS: [expand: boolean, channels: number, repeats: number, stride: number][] = [
  [false, 16, 1, 1],
  [true, 24, 2, 2],
  [true, 32, 3, 2],
  [true, 64, 4, 2],
  [true, 96, 3, 1],
  [true, 160, 3, 2],
  [true, 320, 1, 1],
];

/** Output channels and stride of the depthwise separable blocks (V1, table 1). */
const V1_BLOCKS: [channels: number, stride: number][] = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [1024, 2],
  [1024, 1],
];

/** Pixels as floats, −1…1. */
export const PIXELS = { scale: 1 / 128, zeroPoint: 128, type: 'uint8' } as const;

/**
 * Channels after scaling: rounded to a multiple of 8, at least 8, and at most 10 % below (as in the authors' code; the
 * papers do not specify it).
 */
export function scaledChannels(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

/**
 * Builds a member of the family: input `image` uint8 1×R×R×3 (RGB), output `probabilities` float32 1×classes.
 */
export function buildFamily(options: FamilyOptions): Family {
  const random = new Random(options.seed);
  return assemble(options, (count, deviation) =>
    Float32Array.from({ length: count }, () => random.gaussian() * deviation),
  );
}

/** The cost of a member of the family, without making its weights. */
export function familyCost(options: FamilyOptions): Pick<Family, 'parameters' | 'multiplyAdds'> {
  const { parameters, multiplyAdds } = assemble(options, () => new Float32Array(0));
  return { parameters, multiplyAdds };
}

/** Makes `count` weights of the given standard deviation. */
type Initialiser = (count: number, deviation: number) => Float32Array;

function assemble(options: FamilyOptions, initialiser: Initialiser): Family {
  const { family, width, resolution, classes } = options;
  const graph = new GraphBuilder(`mobilenet_${family}_${width}_${resolution}`);
  const image = graph.input('image', 'uint8', [1, resolution, resolution, 3]);
  const planes = graph.node('Transpose', [image], { perm: [0, 3, 1, 2] }, 'planes');
  const net = new Net(graph, initialiser, {
    name: graph.dequantize(planes, PIXELS, 'pixels'),
    channels: 3,
    side: resolution,
  });
  if (family === 'v1') stackV1(net, width);
  else stackV2(net, width, options.expansion);

  const { channels } = net.at;
  net.at = { name: graph.node('GlobalAveragePool', [net.at.name], {}, 'features'), channels, side: 1 };
  if (options.embedding) {
    const vector = graph.constant('embedding_shape', BigInt64Array.of(1n, BigInt(channels)), [2]);
    graph.node('Reshape', [net.at.name, vector], {}, 'embedding');
  }
  net.convolve('classifier', { to: classes, kernel: 1, stride: 1, groups: 1, relu6: false });
  net.parameters += classes;
  const shape = graph.constant('vector', BigInt64Array.of(1n, BigInt(classes)), [2]);
  const logits = graph.node('Reshape', [net.at.name, shape], {}, 'logits');
  graph.node('Softmax', [logits], { axis: -1 }, 'probabilities');
  graph.output('probabilities', [1, classes]);
  if (options.embedding) graph.output('embedding', [1, channels]);
  const { layers, parameters, multiplyAdds } = net;
  return { model: graph.build(), layers, features: channels, parameters, multiplyAdds };
}

function stackV1(net: Net, width: number): void {
  net.convolve('conv0', { to: scaledChannels(32 * width), kernel: 3, stride: 2, groups: 1, relu6: true });
  for (const [index, [channels, stride]] of V1_BLOCKS.entries()) {
    net.depthwise(`block${index + 1}_depthwise`, stride);
    net.pointwise(`block${index + 1}_pointwise`, scaledChannels(channels * width), true);
  }
}

function stackV2(net: Net, width: number, expansion: number): void {
  net.convolve('conv0', { to: scaledChannels(32 * width), kernel: 3, stride: 2, groups: 1, relu6: true });
  let block = 0;
  for (const [expand, channels, repeats, firstStride] of V2_BLOCKS) {
    for (let repeat = 0; repeat < repeats; repeat++) {
      const stride = repeat === 0 ? firstStride : 1;
      const before = net.at;
      const name = `block${++block}`;
      if (expand) net.pointwise(`${name}_expand`, before.channels * expansion, true);
      net.depthwise(`${name}_depthwise`, stride);
      net.pointwise(`${name}_project`, scaledChannels(channels * width), false);
      if (stride === 1 && before.channels === net.at.channels) net.add(`${name}_sum`, before.name);
    }
  }
  net.pointwise('conv_last', scaledChannels(1280 * Math.max(1, width)), true);
}

interface Activation {
  name: string;
  channels: number;
  /** Pixels of the square feature map. */
  side: number;
}

interface Convolution {
  to: number;
  kernel: number;
  stride: number;
  groups: number;
  relu6: boolean;
}

/** Adds layers to a graph and counts their cost. */
class Net {
  readonly layers: Layer[] = [];
  parameters = 0;
  multiplyAdds = 0;
  at: Activation;
  readonly #graph: GraphBuilder;
  readonly #initialiser: Initialiser;

  constructor(graph: GraphBuilder, initialiser: Initialiser, start: Activation) {
    this.#graph = graph;
    this.#initialiser = initialiser;
    this.at = start;
  }

  /** Kaiming He's initialisation (He et al. 2015): variance 2 / fan-in. "Same" padding as in TensorFlow. */
  convolve(name: string, { to, kernel, stride, groups, relu6 }: Convolution): void {
    const { channels, side } = this.at;
    const fanIn = (channels / groups) * kernel * kernel;
    const count = to * fanIn;
    const weights = this.#initialiser(count, Math.sqrt(2 / fanIn));
    const after = Math.ceil(side / stride);
    const padding = Math.max(0, (after - 1) * stride + kernel - side);
    const first = padding >> 1;
    const last = padding - first;
    const inputs = [
      this.at.name,
      this.#graph.constant(`${name}_weights`, weights, [to, channels / groups, kernel, kernel]),
      this.#graph.constant(`${name}_bias`, new Float32Array(to), [to]),
    ];
    const result = this.#graph.node(
      'Conv',
      inputs,
      {
        group: groups,
        kernel_shape: [kernel, kernel],
        pads: [first, first, last, last],
        strides: [stride, stride],
      },
      relu6 ? `${name}_linear` : name,
    );
    this.layers.push({ weights: inputs[1]!, bias: inputs[2]!, result, channels: to });
    this.parameters += count;
    this.multiplyAdds += count * after * after;
    this.at = { name: relu6 ? this.#clip(name, result) : result, channels: to, side: after };
  }

  depthwise(name: string, stride: number): void {
    const { channels } = this.at;
    this.convolve(name, { to: channels, kernel: 3, stride, groups: channels, relu6: true });
  }

  pointwise(name: string, to: number, relu6: boolean): void {
    this.convolve(name, { to, kernel: 1, stride: 1, groups: 1, relu6 });
  }

  add(name: string, other: string): void {
    this.at = { ...this.at, name: this.#graph.node('Add', [other, this.at.name], {}, name) };
  }

  #clip(name: string, input: string): string {
    const zero = this.#graph.constant(`${name}_low`, Float32Array.of(0));
    const six = this.#graph.constant(`${name}_high`, Float32Array.of(6));
    return this.#graph.node('Clip', [input, zero, six], {}, name);
  }
}
