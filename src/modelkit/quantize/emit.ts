/**
 * Writes a quantised graph in ONNX's QDQ form: every integer node between DequantizeLinear and QuantizeLinear,
 * weights int8 per output channel and symmetric.
 *
 * `cpu`: values uint8, asymmetric; the limits of the integers replace Relu and Clip; biases int32.
 * `tensorrt`: values int8 and symmetric, all zero points 0; Relu and Clip stay; biases stay float.
 */

import type { OnnxModel } from '../../model/onnx.ts';
import { GraphBuilder, type Quantization } from '../../model/onnx-graph.ts';
import type { FloatGraph, FloatNode } from './float-graph.ts';
import type { Step } from './layer-plan.ts';
import { activationRange } from './layer-plan.ts';
import { asymmetric, type Range, symmetric } from './ranges.ts';
import { isWeighted, outputAxis, quantizeWeights } from './weights.ts';

export type Target = 'cpu' | 'tensorrt';

/** A quantised model and its values. */
export interface Emitted {
  model: OnnxModel;
  /** Value of the float graph → its integers in the model, with their scale and zero point. */
  ints: Map<string, { name: string; quantization: Quantization }>;
  /** Those of them that are computed in integers, in graph order. */
  rounded: string[];
}

/** @param ranges of all values that get a scale */
export function emitQuantized(
  graph: FloatGraph,
  steps: readonly Step[],
  ranges: ReadonlyMap<string, Range>,
  target: Target,
): Emitted {
  return new Emitter(graph, ranges, target).emit(steps);
}

/** One value under construction: as floats, as integers, or both. */
interface Value {
  float: string | null;
  int: string | null;
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
    this.#set(input.name, { float: input.name });
    for (const step of steps) {
      if (step.kind === 'integer') this.#integer(step);
      else if (step.kind === 'passThrough') this.#passThrough(step.node);
      else if (step.kind === 'float') this.#float(step.node);
      else {
        const { scale, zeroPoint } = step;
        const int = this.#floatOf(step.node.inputs[0]!);
        this.#set(step.node.outputs[0]!, { int, quantization: { scale, zeroPoint, type: 'uint8' } });
      }
    }
    for (const { name, shape } of outputs) {
      const float = this.#floatOf(name);
      if (float !== name) this.#graph.alias(float, name);
      this.#graph.output(name, shape);
    }
    const model = this.#graph.build();
    model.opsetImport = [{ domain: '', version: opset }];
    const ints: Emitted['ints'] = new Map();
    for (const [name, value] of this.#values) {
      if (value.int && value.quantization)
        ints.set(name, { name: value.int, quantization: value.quantization });
    }
    const rounded = steps.flatMap((step) => (step.kind === 'integer' && step.rounded ? [step.output] : []));
    return { model, ints, rounded };
  }

  #integer({ node, output, activation, rounded }: Extract<Step, { kind: 'integer' }>): void {
    const inputs = isWeighted(this.#source, node)
      ? this.#weighted(node)
      : node.inputs.map((name) => this.#dequantized(name));
    let float = this.#graph.node(node.op, inputs, node.attributes, `${output}_real`);
    if (activation && this.#target === 'tensorrt') {
      const bounds = activation.inputs.slice(1).map((name) => (name ? this.#floatOf(name) : ''));
      float = this.#graph.node(activation.op, [float, ...bounds], activation.attributes, `${output}_active`);
    }
    if (!rounded) {
      this.#set(output, { float });
      return;
    }
    this.#set(output, {
      int: this.#quantize(output, float, activation),
      quantization: this.#scaleOf(output, activation),
    });
  }

  /** ONNX Runtime moves integers directly; TensorRT needs floats. */
  #passThrough(node: FloatNode): void {
    const [first, ...more] = node.inputs as [string, ...string[]];
    const [output] = node.outputs as [string];
    const rest = more.map((input) => (input ? this.#floatOf(input) : ''));
    const { quantization } = this.#values.get(first)!;
    if (this.#target === 'cpu') {
      const moved = this.#graph.node(
        node.op,
        [this.#intOf(first), ...rest],
        node.attributes,
        `${output}_whole`,
      );
      this.#set(output, { int: moved, quantization });
    } else {
      const moved = this.#graph.node(
        node.op,
        [this.#dequantized(first), ...rest],
        node.attributes,
        `${output}_real`,
      );
      this.#set(output, { float: moved, quantization });
    }
  }

  #float(node: FloatNode): void {
    const inputs = node.inputs.map((name) => (name === '' ? '' : this.#floatOf(name)));
    const [output] = node.outputs as [string];
    this.#set(output, { float: this.#graph.node(node.op, inputs, node.attributes, output) });
  }

  /** Input, weights and bias of a convolution or matrix product, all as floats. */
  #weighted(node: FloatNode): string[] {
    const [input, weightName, biasName] = node.inputs as [string, string, string | undefined];
    const { data, dims } = this.#source.constants.get(weightName)! as { data: Float32Array; dims: number[] };
    const axis = outputAxis(node, dims);
    const { ints, scales } = quantizeWeights(data, dims, axis);
    const inputs = [
      this.#dequantized(input),
      this.#graph.dequantizedConstant(weightName, ints, dims, scales, { axis }),
    ];
    if (biasName && this.#target === 'tensorrt') inputs.push(this.#floatOf(biasName));
    else if (biasName) {
      const bias = this.#source.constants.get(biasName)!.data as Float32Array;
      const inputScale = this.#values.get(input)!.quantization!.scale;
      const biasScales = scales.map((scale) => scale * inputScale);
      const rounded = Int32Array.from(bias, (value, channel) => clamp32(value / biasScales[channel]!));
      inputs.push(this.#graph.dequantizedConstant(biasName, rounded, [bias.length], biasScales));
    }
    return inputs;
  }

  /** Floats from a DequantizeLinear; each user gets its own node. */
  #dequantized(name: string): string {
    const int = this.#intOf(name);
    return this.#graph.dequantize(int, this.#values.get(name)!.quantization!, `${name}_from_whole`);
  }

  #intOf(name: string): string {
    const known = this.#values.get(name);
    if (known?.int) return known.int;
    const float = this.#floatOf(name);
    const quantization = known?.quantization ?? this.#scaleOf(name, null);
    const int = this.#graph.quantize(float, quantization, `${name}_whole`);
    this.#values.set(name, { float, int, quantization });
    return int;
  }

  #floatOf(name: string): string {
    const known = this.#values.get(name);
    if (known?.float) return known.float;
    const constant = this.#source.constants.get(name);
    if (known?.int) return this.#dequantized(name);
    if (!constant) throw new Error(`${name} is used before it is computed`);
    const float = this.#graph.constant(name, constant.data, constant.dims);
    this.#set(name, { float });
    return float;
  }

  #quantize(name: string, float: string, activation: FloatNode | null): string {
    return this.#graph.quantize(float, this.#scaleOf(name, activation), `${name}_whole`);
  }

  #scaleOf(name: string, activation: FloatNode | null): Quantization {
    const range = this.#ranges.get(name);
    if (!range) throw new Error(`there is no measured range for ${name}`);
    const limits = activation && activationRange(this.#source, activation);
    const { min, max } = limits ?? { min: -Infinity, max: Infinity };
    const within = { min: Math.max(range.min, min), max: Math.min(range.max, max) };
    return this.#target === 'cpu' ? asymmetric(within) : symmetric(within);
  }

  #set(name: string, value: Partial<Value>): void {
    this.#values.set(name, { float: null, int: null, quantization: null, ...value });
  }
}

function clamp32(value: number): number {
  return Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.round(value)));
}
