/** Writes a quantised graph in ONNX's QDQ form: every integer node between DequantizeLinear and QuantizeLinear. */
import { GraphBuilder, type Quantization } from '../graph.ts';
import type { OnnxModel } from '../onnx.ts';
import type { FloatGraph, FloatNode } from './float-graph.ts';
import type { Step } from './plan.ts';

/** Largest and smallest real number that a value must be able to hold. */
export interface Range {
  min: number;
  max: number;
}

/**
 * Builds the quantised model: weights int8 per output channel, symmetric; biases int32; activations uint8,
 * asymmetric.
 * @param ranges of every value that gets a scale
 */
export function emitQuantized(
  graph: FloatGraph,
  steps: readonly Step[],
  ranges: ReadonlyMap<string, Range>,
  source: OnnxModel,
): OnnxModel {
  return new Emitter(graph, ranges).emit(steps, source);
}

/** The uint8 numbers for a range: zero is one of them exactly. */
export function asymmetric({ min, max }: Range): Quantization {
  const low = Math.min(0, min);
  const high = Math.max(0, max, low + 1e-6);
  const scale = (high - low) / 255;
  return { scale, zeroPoint: Math.round(-low / scale) + 0, type: 'uint8' };
}

class Emitter {
  readonly #source: FloatGraph;
  readonly #ranges: ReadonlyMap<string, Range>;
  readonly #graph: GraphBuilder;
  /** Value of the float graph → its whole numbers here, with their meaning. */
  readonly #whole = new Map<string, { name: string; quantization: Quantization }>();
  /** Value of the float graph → its real numbers here. */
  readonly #real = new Map<string, string>();

  constructor(source: FloatGraph, ranges: ReadonlyMap<string, Range>) {
    this.#source = source;
    this.#ranges = ranges;
    this.#graph = new GraphBuilder(source.name);
  }

  emit(steps: readonly Step[], source: OnnxModel): OnnxModel {
    this.#real.set(this.#source.input, this.#graph.reserve(this.#source.input));
    for (const step of steps) {
      const [output] = step.node.outputs as [string];
      if (step.kind === 'integer') this.#integer(step.node, step.output);
      else if (step.kind === 'float') this.#float(step.node);
      else if (step.kind === 'moving') this.#moving(step.node);
      else {
        const { scale, zeroPoint } = step;
        const name = this.#realOf(step.node.inputs[0]!);
        this.#whole.set(output, { name, quantization: { scale, zeroPoint, type: 'uint8' } });
      }
    }
    for (const { name } of this.#source.outputs) {
      const real = this.#realOf(name);
      if (real !== name) this.#graph.alias(real, name);
    }
    const model = this.#graph.build();
    model.graph.input = source.graph.input.filter(({ name }) => name === this.#source.input);
    model.graph.output = source.graph.output;
    model.metadataProps = source.metadataProps;
    return model;
  }

  #integer(node: FloatNode, output: string): void {
    const weighted = node.op === 'Conv' || node.op === 'Gemm' || node.op === 'MatMul';
    const inputs = weighted ? this.#weighted(node) : node.inputs.map((name) => this.#dequantized(name));
    const result = this.#graph.node(node.op, inputs, node.attributes, `${output}_real`);
    this.#quantize(output, result);
  }

  #moving(node: FloatNode): void {
    const { name, quantization } = this.#whole.get(node.inputs[0]!)!;
    const rest = node.inputs.slice(1).map((input) => this.#realOf(input));
    const [output] = node.outputs as [string];
    const moved = this.#graph.node(node.op, [name, ...rest], node.attributes, `${output}_whole`);
    this.#whole.set(output, { name: moved, quantization });
  }

  #float(node: FloatNode): void {
    const inputs = node.inputs.map((name) => (name === '' ? '' : this.#realOf(name)));
    const [output] = node.outputs as [string];
    this.#real.set(output, this.#graph.node(node.op, inputs, node.attributes, output));
  }

  /** Input, int8 weights and int32 bias of a convolution or matrix product, all dequantised. */
  #weighted(node: FloatNode): string[] {
    const [input, weightName, biasName] = node.inputs as [string, string, string | undefined];
    const { data, dims } = this.#source.constants.get(weightName)! as { data: Float32Array; dims: number[] };
    const axis = node.op === 'Conv' || node.attributes.transB === 1 ? 0 : dims.length - 1;
    const { whole, scales } = quantizeWeights(data, dims, axis);
    const inputs = [
      this.#dequantized(input),
      this.#graph.dequantizedConstant(weightName, whole, dims, scales, { axis }),
    ];
    if (biasName) {
      const bias = this.#source.constants.get(biasName)!.data as Float32Array;
      const inputScale = this.#whole.get(input)!.quantization.scale;
      const biasScales = scales.map((scale) => scale * inputScale);
      const rounded = Int32Array.from(bias, (value, channel) => Math.round(value / biasScales[channel]!));
      inputs.push(this.#graph.dequantizedConstant(biasName, rounded, [bias.length], biasScales));
    }
    return inputs;
  }

  /** Real numbers that come out of a DequantizeLinear. */
  #dequantized(name: string): string {
    if (!this.#whole.has(name)) this.#quantize(name, this.#realOf(name));
    const { name: whole, quantization } = this.#whole.get(name)!;
    return this.#graph.dequantize(whole, quantization, `${name}_from_whole`);
  }

  #quantize(name: string, real: string): void {
    const range = this.#ranges.get(name);
    if (!range) throw new Error(`no range was measured for ${name}`);
    const quantization = asymmetric(range);
    this.#whole.set(name, { name: this.#graph.quantize(real, quantization, `${name}_whole`), quantization });
  }

  #realOf(name: string): string {
    const known = this.#real.get(name);
    if (known !== undefined) return known;
    const constant = this.#source.constants.get(name);
    const real = constant
      ? this.#graph.constant(name, constant.data, constant.dims)
      : this.#dequantized(name);
    this.#real.set(name, real);
    return real;
  }
}

/** Symmetric int8 numbers, −127…127, with one scale for each channel along `axis`. */
export function quantizeWeights(
  data: Float32Array,
  dims: readonly number[],
  axis: number,
): { whole: Int8Array; scales: Float32Array } {
  const channels = dims[axis]!;
  const inner = dims.slice(axis + 1).reduce((product, size) => product * size, 1);
  const channelOf = (index: number) => Math.floor(index / inner) % channels;
  const scales = new Float32Array(channels);
  for (const [index, value] of data.entries()) {
    const channel = channelOf(index);
    scales[channel] = Math.max(scales[channel]!, Math.abs(value) / 127);
  }
  // A channel of zeros may have any scale but 0.
  for (let channel = 0; channel < channels; channel++) scales[channel] ||= 1;
  const whole = Int8Array.from(data, (value, index) =>
    Math.max(-127, Math.min(127, Math.round(value / scales[channelOf(index)]!))),
  );
  return { whole, scales };
}
