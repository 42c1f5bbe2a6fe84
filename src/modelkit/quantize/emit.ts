/**
 * Writes a quantised graph in ONNX's QDQ form: every integer node between DequantizeLinear and QuantizeLinear,
 * weights int8 per output channel and symmetric.
 *
 * `cpu`: activations uint8, asymmetric; the limits of the whole numbers replace Relu and Clip; biases int32.
 * `tensorrt`: activations int8 and symmetric, all zero points 0; activations stay; biases stay real.
 */

import type { OnnxModel } from '../../model/onnx.ts';
import { GraphBuilder, type Quantization } from '../../model/onnx-graph.ts';
import type { FloatGraph, FloatNode } from './float-graph.ts';
import type { Step } from './layer-plan.ts';
import { activationRange } from './layer-plan.ts';
import { asymmetric, type Range, symmetric } from './ranges.ts';
import { isWeighted, outputAxis, quantizeWeights } from './weights.ts';

export type Target = 'cpu' | 'tensorrt';

/** A quantised model and where its values are. */
export interface Emitted {
  model: OnnxModel;
  /** Value of the float graph → its whole numbers in the model, with their meaning. */
  whole: Map<string, { name: string; quantization: Quantization }>;
  /** The values among them that were computed on whole numbers, in the order of the graph. */
  rounded: string[];
}

/** @param ranges of every value that gets a scale */
export function emitQuantized(
  graph: FloatGraph,
  steps: readonly Step[],
  ranges: ReadonlyMap<string, Range>,
  target: Target,
): Emitted {
  return new Emitter(graph, ranges, target).emit(steps);
}

/** One value under construction: as real numbers, as whole ones, or both. */
interface Value {
  real: string | null;
  whole: string | null;
  quantization: Quantization | null;
}

class Emitter {
  readonly #source: FloatGraph;
  readonly #ranges: ReadonlyMap<string, Range>;
  readonly #target: Target;
  readonly #graph: GraphBuilder;
  readonly #values = new Map<string, Value>();

  constructor(source: FloatGraph, ranges: ReadonlyMap<string, Range>, target: Target) {
    this.#source = source;
    this.#ranges = ranges;
    this.#target = target;
    this.#graph = new GraphBuilder(source.name);
  }

  emit(steps: readonly Step[]): Emitted {
    const { input, outputs, opset } = this.#source;
    this.#graph.input(input.name, input.type, input.shape);
    this.#set(input.name, { real: input.name });
    for (const step of steps) {
      if (step.kind === 'integer') this.#integer(step);
      else if (step.kind === 'moving') this.#moving(step.node);
      else if (step.kind === 'float') this.#float(step.node);
      else {
        const { scale, zeroPoint } = step;
        const whole = this.#realOf(step.node.inputs[0]!);
        this.#set(step.node.outputs[0]!, { whole, quantization: { scale, zeroPoint, type: 'uint8' } });
      }
    }
    for (const { name, shape } of outputs) {
      const real = this.#realOf(name);
      if (real !== name) this.#graph.alias(real, name);
      this.#graph.output(name, shape);
    }
    const model = this.#graph.build();
    model.opsetImport = [{ domain: '', version: opset }];
    const whole: Emitted['whole'] = new Map();
    for (const [name, value] of this.#values) {
      if (value.whole && value.quantization)
        whole.set(name, { name: value.whole, quantization: value.quantization });
    }
    const rounded = steps.flatMap((step) => (step.kind === 'integer' && step.rounded ? [step.output] : []));
    return { model, whole, rounded };
  }

  #integer({ node, output, activation, rounded }: Extract<Step, { kind: 'integer' }>): void {
    const inputs = isWeighted(this.#source, node)
      ? this.#weighted(node)
      : node.inputs.map((name) => this.#dequantized(name));
    let real = this.#graph.node(node.op, inputs, node.attributes, `${output}_real`);
    if (activation && this.#target === 'tensorrt') {
      const bounds = activation.inputs.slice(1).map((name) => (name ? this.#realOf(name) : ''));
      real = this.#graph.node(activation.op, [real, ...bounds], activation.attributes, `${output}_active`);
    }
    if (!rounded) {
      this.#set(output, { real });
      return;
    }
    this.#set(output, {
      whole: this.#quantize(output, real, activation),
      quantization: this.#scaleOf(output, activation),
    });
  }

  /** ONNX Runtime moves whole numbers directly; TensorRT wants to see real ones. */
  #moving(node: FloatNode): void {
    const [first, ...more] = node.inputs as [string, ...string[]];
    const [output] = node.outputs as [string];
    const rest = more.map((input) => (input ? this.#realOf(input) : ''));
    const { quantization } = this.#values.get(first)!;
    if (this.#target === 'cpu') {
      const moved = this.#graph.node(
        node.op,
        [this.#wholeOf(first), ...rest],
        node.attributes,
        `${output}_whole`,
      );
      this.#set(output, { whole: moved, quantization });
    } else {
      const moved = this.#graph.node(
        node.op,
        [this.#dequantized(first), ...rest],
        node.attributes,
        `${output}_real`,
      );
      this.#set(output, { real: moved, quantization });
    }
  }

  #float(node: FloatNode): void {
    const inputs = node.inputs.map((name) => (name === '' ? '' : this.#realOf(name)));
    const [output] = node.outputs as [string];
    this.#set(output, { real: this.#graph.node(node.op, inputs, node.attributes, output) });
  }

  /** Input, weights and bias of a convolution or matrix product, all as reals. */
  #weighted(node: FloatNode): string[] {
    const [input, weightName, biasName] = node.inputs as [string, string, string | undefined];
    const { data, dims } = this.#source.constants.get(weightName)! as { data: Float32Array; dims: number[] };
    const axis = outputAxis(node, dims);
    const { whole, scales } = quantizeWeights(data, dims, axis);
    const inputs = [
      this.#dequantized(input),
      this.#graph.dequantizedConstant(weightName, whole, dims, scales, { axis }),
    ];
    if (biasName && this.#target === 'tensorrt') inputs.push(this.#realOf(biasName));
    else if (biasName) {
      const bias = this.#source.constants.get(biasName)!.data as Float32Array;
      const inputScale = this.#values.get(input)!.quantization!.scale;
      const biasScales = scales.map((scale) => scale * inputScale);
      const rounded = Int32Array.from(bias, (value, channel) => clamp32(value / biasScales[channel]!));
      inputs.push(this.#graph.dequantizedConstant(biasName, rounded, [bias.length], biasScales));
    }
    return inputs;
  }

  /** Real numbers that come out of a DequantizeLinear; each user gets its own. */
  #dequantized(name: string): string {
    const whole = this.#wholeOf(name);
    return this.#graph.dequantize(whole, this.#values.get(name)!.quantization!, `${name}_from_whole`);
  }

  #wholeOf(name: string): string {
    const known = this.#values.get(name);
    if (known?.whole) return known.whole;
    const real = this.#realOf(name);
    const quantization = known?.quantization ?? this.#scaleOf(name, null);
    const whole = this.#graph.quantize(real, quantization, `${name}_whole`);
    this.#values.set(name, { real, whole, quantization });
    return whole;
  }

  #realOf(name: string): string {
    const known = this.#values.get(name);
    if (known?.real) return known.real;
    const constant = this.#source.constants.get(name);
    if (known?.whole) return this.#dequantized(name);
    if (!constant) throw new Error(`${name} is used before it is made`);
    const real = this.#graph.constant(name, constant.data, constant.dims);
    this.#set(name, { real });
    return real;
  }

  #quantize(name: string, real: string, activation: FloatNode | null): string {
    return this.#graph.quantize(real, this.#scaleOf(name, activation), `${name}_whole`);
  }

  #scaleOf(name: string, activation: FloatNode | null): Quantization {
    const range = this.#ranges.get(name);
    if (!range) throw new Error(`no range was measured for ${name}`);
    const limits = activation && activationRange(this.#source, activation);
    const { min, max } = limits ?? { min: -Infinity, max: Infinity };
    const within = { min: Math.max(range.min, min), max: Math.min(range.max, max) };
    return this.#target === 'cpu' ? asymmetric(within) : symmetric(within);
  }

  #set(name: string, value: Partial<Value>): void {
    this.#values.set(name, { real: null, whole: null, quantization: null, ...value });
  }
}

function clamp32(value: number): number {
  return Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.round(value)));
}
