/**
 * Turns an inference graph into one that yields gradients, so that ONNX Runtime can train it: parameters go in,
 * the gradient of the cross-entropy with respect to each of them comes out. Every convolution but the last gets
 * its batch normalisation back (Ioffe and Szegedy 2015), which `fold` takes out again after training.
 *
 * Knows what the MobileNet families consist of: Transpose, DequantizeLinear, Conv (3×3 on pixels, pointwise,
 * depthwise), Clip, Add, GlobalAveragePool, Reshape, Softmax.
 */
import { GraphBuilder } from '../../src/model/graph.ts';
import { integer, type OnnxModel, type OnnxNode } from '../../src/model/onnx.ts';
import { tensorData, tensorShape } from '../../src/model/tensor.ts';

export const EPSILON = 1e-3;

/** Something that is learnt. Its input has its name; its gradient is the output `gradient`. */
export interface Parameter {
  name: string;
  gradient: string;
  shape: number[];
  value: Float32Array;
  /** Weights are kept small, biases and normalisation are not. */
  decay: boolean;
}

/** A convolution with the batch normalisation behind it. Means and variances are outputs. */
export interface Normalised {
  weights: string;
  bias: string;
  gamma: string;
  beta: string;
  mean: string;
  variance: string;
  channels: number;
}

export interface TrainingGraph {
  model: OnnxModel;
  parameters: Parameter[];
  layers: Normalised[];
}

/** What is needed to send the gradient of a node's output back to its inputs. */
type Backward = (gradient: string) => void;

/**
 * @param model takes uint8 images and ends in a softmax
 * @param batch pictures at once
 */
export function trainingGraph(model: OnnxModel, batch: number): TrainingGraph {
  return new Builder(model, batch).build();
}

class Builder {
  readonly #graph = new GraphBuilder('training');
  readonly #source: OnnxModel;
  readonly #batch: number;
  readonly #parameters: Parameter[] = [];
  readonly #layers: Normalised[] = [];
  /** Name in the inference graph → name and shape (channels, height, width) here. */
  readonly #values = new Map<string, { name: string; shape: [number, number, number] }>();
  /** Gradients that have arrived at each value of the inference graph. */
  readonly #arrived = new Map<string, string[]>();
  readonly #backwards: { output: string; backward: Backward }[] = [];

  constructor(source: OnnxModel, batch: number) {
    this.#source = source;
    this.#batch = batch;
  }

  build(): TrainingGraph {
    const { graph } = this.#source;
    const convolutions = graph.node.filter(({ opType }) => opType === 'Conv');
    for (const node of graph.node) this.#forward(node, node === convolutions.at(-1));
    for (const { output, backward } of this.#backwards.reverse()) {
      const gradients = this.#arrived.get(output) ?? [];
      if (gradients.length > 0) backward(gradients.reduce((a, b) => this.#graph.node('Add', [a, b])));
    }
    return { model: this.#graph.build(), parameters: this.#parameters, layers: this.#layers };
  }

  #forward(node: OnnxNode, last: boolean): void {
    const [first] = node.input as [string];
    switch (node.opType) {
      case 'Transpose':
        this.#pictures(node);
        break;
      case 'DequantizeLinear':
        break;
      case 'Conv':
        this.#convolution(node, last);
        break;
      case 'Clip':
        this.#clip(node);
        break;
      case 'Add':
        this.#add(node);
        break;
      case 'GlobalAveragePool':
        this.#pool(node);
        break;
      case 'Reshape':
        this.#values.set(node.output[0]!, this.#value(first));
        this.#backwards.push({ output: node.output[0]!, backward: (g) => this.#send(first, g) });
        break;
      case 'Softmax':
        this.#loss(node);
        break;
      default:
        throw new Error(`${node.opType} cannot be trained`);
    }
  }

  /** Pictures come in as bytes, [N, height, width, 3], and need no gradient. */
  #pictures(node: OnnxNode): void {
    const input = this.#source.graph.input[0]!;
    const [, height, width] = input.type!.tensorType!.shape!.dim.map((d) => integer(d.dimValue!)) as number[];
    const images = this.#graph.input('images', 'uint8', [this.#batch, height!, width!, 3]);
    const planes = this.#graph.node('Transpose', [images], { perm: [0, 3, 1, 2] });
    const follower = this.#source.graph.node.find(({ input: [name] }) => name === node.output[0])!;
    const constant = (name: string) => {
      const tensor = this.#source.graph.initializer.find((candidate) => candidate.name === name)!;
      return this.#graph.constant(name, tensorData(tensor), tensorShape(tensor));
    };
    const name = this.#graph.node('DequantizeLinear', [
      planes,
      constant(follower.input[1]!),
      constant(follower.input[2]!),
    ]);
    this.#values.set(follower.output[0]!, { name, shape: [3, height!, width!] });
  }

  #convolution(node: OnnxNode, last: boolean): void {
    const [input, weightName, biasName] = node.input as [string, string, string];
    const x = this.#value(input);
    const weights = this.#parameter(weightName, true);
    const [to, , kernel] = weights.shape as [number, number, number];
    const ints = (name: string) => node.attribute.find((a) => a.name === name)!.ints!.map(integer);
    const pads = ints('pads') as [number, number, number, number];
    const stride = ints('strides')[0]!;
    const depthwise = weights.shape[1] === 1 && to === x.shape[0];
    const group = depthwise ? to : 1;
    const attributes = { group, kernel_shape: [kernel, kernel], pads, strides: [stride, stride] };
    const height = (x.shape[1] + pads[0] + pads[2] - kernel) / stride + 1;
    const width = (x.shape[2] + pads[1] + pads[3] - kernel) / stride + 1;
    const shape: [number, number, number] = [to, Math.floor(height), Math.floor(width)];

    const geometry: Geometry = { x, shape, kernel, stride, pads };
    const backward: Backward = (gradient) => {
      if (kernel === 1) this.#pointwiseBack(gradient, input, weights, geometry);
      else if (depthwise) this.#depthwiseBack(gradient, input, weights, geometry);
      else this.#pixelsBack(gradient, weights, geometry);
    };
    if (last) {
      const bias = this.#parameter(biasName, false);
      const name = this.#graph.node('Conv', [x.name, weights.name, bias.name], attributes);
      this.#values.set(node.output[0]!, { name, shape });
      this.#backwards.push({
        output: node.output[0]!,
        backward: (gradient) => {
          this.#yield(bias, this.#sum(gradient, [0, 2, 3]), [to]);
          backward(gradient);
        },
      });
      return;
    }
    const linear = this.#graph.node('Conv', [x.name, weights.name], attributes);
    const normalised = this.#normalise(linear, weights.name, biasName, to);
    this.#values.set(node.output[0]!, { name: normalised.name, shape });
    this.#backwards.push({ output: node.output[0]!, backward: (g) => backward(normalised.backward(g)) });
  }

  #normalise(x: string, weights: string, bias: string, channels: number) {
    const graph = this.#graph;
    const gamma = this.#newParameter(
      `${bias}_gamma`,
      [1, channels, 1, 1],
      new Float32Array(channels).fill(1),
    );
    const beta = this.#newParameter(`${bias}_beta`, [1, channels, 1, 1], new Float32Array(channels));
    const axes = { axes: [0, 2, 3], keepdims: 1 };
    const mean = graph.node('ReduceMean', [x], axes, `${bias}_mean`);
    const centred = graph.node('Sub', [x, mean]);
    const variance = graph.node(
      'ReduceMean',
      [graph.node('Mul', [centred, centred])],
      axes,
      `${bias}_variance`,
    );
    const epsilon = graph.constant('epsilon', Float32Array.of(EPSILON));
    const deviation = graph.node('Sqrt', [graph.node('Add', [variance, epsilon])]);
    const hat = graph.node('Div', [centred, deviation]);
    const name = graph.node('Add', [graph.node('Mul', [hat, gamma.name]), beta.name]);
    graph.output(mean, [1, channels, 1, 1]);
    graph.output(variance, [1, channels, 1, 1]);
    this.#layers.push({ weights, bias, gamma: gamma.name, beta: beta.name, mean, variance, channels });

    const backward = (gradient: string): string => {
      const along = graph.node('Mul', [gradient, hat]);
      this.#yield(beta, this.#sum(gradient, [0, 2, 3]), [1, channels, 1, 1]);
      this.#yield(gamma, this.#sum(along, [0, 2, 3]), [1, channels, 1, 1]);
      const alongMean = graph.node('Mul', [hat, graph.node('ReduceMean', [along], axes)]);
      const level = graph.node('Sub', [gradient, graph.node('ReduceMean', [gradient], axes)]);
      const factor = graph.node('Div', [gamma.name, deviation]);
      return graph.node('Mul', [graph.node('Sub', [level, alongMean]), factor]);
    };
    return { name, backward };
  }

  #pointwiseBack(gradient: string, input: string, weights: Parameter, { x, shape }: Geometry): void {
    const graph = this.#graph;
    const pixels = shape[1] * shape[2];
    const rows = (name: string, channels: number) =>
      graph.node('Reshape', [name, graph.constant('shape', int64(this.#batch, channels, pixels), [3])]);
    const columns = graph.node('Transpose', [rows(x.name, x.shape[0])], { perm: [0, 2, 1] });
    this.#yield(
      weights,
      this.#sum(graph.node('MatMul', [rows(gradient, shape[0]), columns]), [0]),
      weights.shape,
    );
    const turned = graph.node('Transpose', [weights.name], { perm: [1, 0, 2, 3] });
    this.#send(input, graph.node('Conv', [gradient, turned], { kernel_shape: [1, 1] }));
  }

  #depthwiseBack(gradient: string, input: string, weights: Parameter, geometry: Geometry): void {
    const graph = this.#graph;
    const { x, shape, kernel, stride, pads } = geometry;
    const [channels, height, width] = shape;
    const padding = graph.constant('pads', int64(0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]), [8]);
    const padded = graph.node('Pad', [x.name, padding]);
    const taps: string[] = [];
    const pair = (a: number, b: number) => graph.constant('pair', int64(a, b), [2]);
    for (let row = 0; row < kernel; row++) {
      for (let column = 0; column < kernel; column++) {
        const window = graph.node('Slice', [
          padded,
          pair(row, column),
          pair(row + (height - 1) * stride + 1, column + (width - 1) * stride + 1),
          pair(2, 3),
          pair(stride, stride),
        ]);
        const product = this.#sum(graph.node('Mul', [window, gradient]), [0, 2, 3]);
        taps.push(graph.node('Reshape', [product, graph.constant('shape', int64(channels, 1), [2])]));
      }
    }
    this.#yield(weights, graph.node('Concat', taps, { axis: 1 }), weights.shape);
    const back = graph.node('ConvTranspose', [gradient, weights.name], {
      group: channels,
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads,
      output_padding: [
        x.shape[1] - ((height - 1) * stride + kernel - pads[0] - pads[2]),
        x.shape[2] - ((width - 1) * stride + kernel - pads[1] - pads[3]),
      ],
    });
    this.#send(input, back);
  }

  /** The weights' gradient is itself a convolution: pictures and channels change places, the stride is a dilation. */
  #pixelsBack(gradient: string, weights: Parameter, { x, kernel, stride, pads, shape }: Geometry): void {
    const graph = this.#graph;
    const swap = { perm: [1, 0, 2, 3] };
    const correlated = graph.node(
      'Conv',
      [graph.node('Transpose', [x.name], swap), graph.node('Transpose', [gradient], swap)],
      { kernel_shape: [shape[1], shape[2]], dilations: [stride, stride], pads, strides: [1, 1] },
    );
    const first = graph.constant('first', int64(0, 0), [2]);
    const end = graph.constant('end', int64(kernel, kernel), [2]);
    const cut = graph.node('Slice', [correlated, first, end, graph.constant('axes', int64(2, 3), [2])]);
    this.#yield(weights, graph.node('Transpose', [cut], swap), weights.shape);
  }

  #clip(node: OnnxNode): void {
    const [input] = node.input as [string];
    const x = this.#value(input);
    const bound = (value: number) => this.#graph.constant('bound', Float32Array.of(value));
    const name = this.#graph.node('Clip', [x.name, bound(0), bound(6)]);
    const open = this.#graph.node('Cast', [this.#graph.node('Equal', [name, x.name])], { to: 1 });
    this.#values.set(node.output[0]!, { name, shape: x.shape });
    this.#backwards.push({
      output: node.output[0]!,
      backward: (gradient) => this.#send(input, this.#graph.node('Mul', [open, gradient])),
    });
  }

  #add(node: OnnxNode): void {
    const [a, b] = node.input as [string, string];
    const name = this.#graph.node('Add', [this.#value(a).name, this.#value(b).name]);
    this.#values.set(node.output[0]!, { name, shape: this.#value(a).shape });
    const backward: Backward = (gradient) => {
      this.#send(a, gradient);
      this.#send(b, gradient);
    };
    this.#backwards.push({ output: node.output[0]!, backward });
  }

  #pool(node: OnnxNode): void {
    const [input] = node.input as [string];
    const x = this.#value(input);
    const [channels, height, width] = x.shape;
    const name = this.#graph.node('GlobalAveragePool', [x.name]);
    this.#values.set(node.output[0]!, { name, shape: [channels, 1, 1] });
    const share = this.#graph.constant('share', Float32Array.of(1 / (height * width)));
    // Stays 1×1: the Clip before the pool spreads it over its pixels.
    const backward: Backward = (gradient) => this.#send(input, this.#graph.node('Mul', [gradient, share]));
    this.#backwards.push({ output: node.output[0]!, backward });
  }

  /** Softmax and cross-entropy: the logits' gradient is (probabilities − targets) / N. */
  #loss(node: OnnxNode): void {
    const graph = this.#graph;
    const [input] = node.input as [string];
    const logits = this.#value(input);
    const [classes] = logits.shape;
    const targets = graph.input('targets', 'float', [this.#batch, classes, 1, 1]);
    const probabilities = graph.node('Softmax', [logits.name], { axis: 1 }, 'probabilities');
    graph.output(probabilities, [this.#batch, classes, 1, 1]);
    const share = graph.constant('share', Float32Array.of(1 / this.#batch));
    this.#send(input, graph.node('Mul', [graph.node('Sub', [probabilities, targets]), share]));
  }

  #value(name: string) {
    const value = this.#values.get(name);
    if (!value) throw new Error(`${name} is used before it is made`);
    return value;
  }

  #send(name: string, gradient: string): void {
    this.#arrived.set(name, [...(this.#arrived.get(name) ?? []), gradient]);
  }

  #sum(name: string, axes: number[]): string {
    const which = this.#graph.constant('axes', int64(...axes), [axes.length]);
    return this.#graph.node('ReduceSum', [name, which], { keepdims: 0 });
  }

  #yield(parameter: Parameter, gradient: string, shape: number[]): void {
    const target = this.#graph.constant('shape', int64(...shape), [shape.length]);
    parameter.gradient = this.#graph.node('Reshape', [gradient, target], {}, `${parameter.name}_gradient`);
    this.#graph.output(parameter.gradient, shape);
  }

  #parameter(name: string, decay: boolean): Parameter {
    const tensor = this.#source.graph.initializer.find((candidate) => candidate.name === name)!;
    return this.#newParameter(name, tensorShape(tensor), tensorData(tensor) as Float32Array, decay);
  }

  #newParameter(name: string, shape: number[], value: Float32Array, decay = false): Parameter {
    const parameter = { name: this.#graph.input(name, 'float', shape), gradient: '', shape, value, decay };
    this.#parameters.push(parameter);
    return parameter;
  }
}

interface Geometry {
  x: { name: string; shape: [number, number, number] };
  shape: [number, number, number];
  kernel: number;
  stride: number;
  pads: [number, number, number, number];
}

function int64(...values: number[]): BigInt64Array {
  return BigInt64Array.from(values, BigInt);
}
