/** Quantises the weights of convolutions and matrix products, and compensates for the error. */
import { type FloatGraph, type FloatNode, floatConstant, useCounts } from './float-graph.ts';
import { activationRange, planQuantization } from './layer-plan.ts';
import type { Statistics } from './observe.ts';

const WEIGHTED = new Set(['Conv', 'Gemm', 'MatMul']);

/** Maximum scaling of a channel: channels with tiny values are not worth more. */
const MAX_CHANNEL_FACTOR = 16;
/** Room above the largest observed value before a scaled channel is clipped. */
const HEADROOM = 1.1;

/** Whether a node multiplies its input by constant weights. */
export function isWeighted(graph: FloatGraph, node: FloatNode): boolean {
  return WEIGHTED.has(node.op) && floatConstant(graph, node.inputs[1]) !== null;
}

/** A convolution or matrix product with constant weights. */
export interface Layer {
  /** Its output. */
  name: string;
  multiplyAdds: number;
}

/** The layers with weights and their multiply-adds, in graph order. */
export function weightedLayers(graph: FloatGraph, statistics: ReadonlyMap<string, Statistics>): Layer[] {
  return planQuantization(graph).flatMap((step): Layer[] => {
    if (step.kind !== 'integer' || !isWeighted(graph, step.node)) return [];
    const { data, dims } = graph.constants.get(step.node.inputs[1]!)!;
    const channels = dims[outputAxis(step.node, dims)]!;
    const outputs = step.rounded ? statistics.get(step.output)!.size : channels;
    return [{ name: step.node.outputs[0]!, multiplyAdds: (outputs * data.length) / channels }];
  });
}

/** The axis of the output channels in the weights. */
export function outputAxis(node: FloatNode, dims: readonly number[]): number {
  return node.op === 'Conv' || node.attributes.transB === 1 ? 0 : dims.length - 1;
}

/**
 * Quantises weights to symmetric int8, −127…127, with one scale for each channel along `axis`. Weights that were
 * quantised before keep their integers if these fit.
 */
export function quantizeWeights(
  data: Float32Array,
  dims: readonly number[],
  axis: number,
): { ints: Int8Array; scales: Float32Array } {
  const channelOf = alongAxis(dims, axis);
  const largest = new Float64Array(dims[axis]!);
  const steps = new Float64Array(dims[axis]!);
  for (const [index, value] of data.entries()) {
    const channel = channelOf(index);
    largest[channel] = Math.max(largest[channel]!, Math.abs(value));
  }
  for (const [index, value] of data.entries()) {
    const channel = channelOf(index);
    steps[channel] = commonStep(steps[channel]!, Math.abs(value), largest[channel]! * PRECISION);
  }
  const scales = Float32Array.from(largest, (size, channel) => {
    const step = steps[channel]!;
    // A channel of zeros may have any scale but 0.
    return (size < 127.5 * step ? step : size / 127) || 1;
  });
  const ints = Int8Array.from(data, (value, index) =>
    Math.max(-127, Math.min(127, Math.round(value / scales[channelOf(index)]!))),
  );
  return { ints, scales };
}

/** Remainders smaller than this share of the largest weight are float32 rounding errors. */
const PRECISION = 1e-4;

/**
 * The greatest common divisor (Euclid's algorithm); tiny for weights that were never quantised.
 * @param least smaller remainders count as 0
 */
function commonStep(a: number, b: number, least: number): number {
  let [large, small] = a > b ? [a, b] : [b, a];
  while (small > least) [large, small] = [small, Math.abs(large - Math.round(large / small) * small)];
  return large;
}

/**
 * Scales up the channels between a convolution and the depthwise one after it, so that all use the full range of the
 * common scale. The depthwise weights are scaled down accordingly, at no cost because each channel has its own scale.
 * After Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", with measured
 * activations in place of weights.
 */
export function equalise(graph: FloatGraph, statistics: ReadonlyMap<string, Statistics>): FloatGraph {
  const constants = new Map(graph.constants);
  const uses = useCounts(graph);
  const users = new Map(graph.nodes.map((node) => [node.inputs[0]!, node]));
  for (const first of graph.nodes) {
    if (first.op !== 'Conv' || !isWeighted(graph, first)) continue;
    const next = users.get(first.outputs[0]!);
    const activation = next && activationRange(graph, next) ? next : null;
    const between = activation?.outputs[0] ?? first.outputs[0]!;
    const depthwise = users.get(between);
    const seen = statistics.get(between);
    const alone = uses.get(first.outputs[0]!) === 1 && uses.get(between) === 1;
    if (!seen || !alone || !depthwise || !isDepthwise(graph, depthwise)) continue;
    const largest = Math.max(...seen.channelSizes);
    const factors = Float32Array.from(seen.channelSizes, (size) =>
      Math.max(1, Math.min(MAX_CHANNEL_FACTOR, largest / Math.max(size * HEADROOM, 1e-9))),
    );
    scaleChannels(constants, first.inputs[1]!, factors, 1);
    if (first.inputs[2]) scaleChannels(constants, first.inputs[2], factors, 1);
    scaleChannels(constants, depthwise.inputs[1]!, factors, -1);
  }
  return { ...graph, constants };
}

/**
 * Subtracts the mean error that rounding the weights causes from the biases: Δb = −Σ ΔW · E[x], for each channel
 * (Nagel et al. 2019). Without it a tenth of MobileNetV2's top-1 results are wrong.
 * @param float outputs of nodes whose weights stay floats
 */
export function correctBiases(
  graph: FloatGraph,
  statistics: ReadonlyMap<string, Statistics>,
  float: ReadonlySet<string> = new Set(),
): FloatGraph {
  const constants = new Map(graph.constants);
  const nodes = graph.nodes.map((node) => {
    const means = statistics.get(node.inputs[0] ?? '')?.channelMeans;
    if (!means || !isWeighted(graph, node) || node.op === 'MatMul' || float.has(node.outputs[0]!))
      return node;
    const { data, dims } = graph.constants.get(node.inputs[1]!)! as { data: Float32Array; dims: number[] };
    const axis = outputAxis(node, dims);
    const { ints, scales } = quantizeWeights(data, dims, axis);
    const outOf = alongAxis(dims, axis);
    const inOf = inputChannel(node, dims);
    const bias = floatConstant(graph, node.inputs[2])?.slice() ?? new Float32Array(dims[axis]!);
    for (const [index, value] of data.entries()) {
      const out = outOf(index);
      bias[out]! -= (ints[index]! * scales[out]! - value) * (means[inOf(index, out)] ?? 0);
    }
    const name = `${node.outputs[0]!}_corrected_bias`;
    constants.set(name, { data: bias, dims: [bias.length] });
    return { ...node, inputs: [node.inputs[0]!, node.inputs[1]!, name] };
  });
  return { ...graph, constants, nodes };
}

function isDepthwise(graph: FloatGraph, node: FloatNode): boolean {
  const dims = graph.constants.get(node.inputs[1] ?? '')?.dims;
  return node.op === 'Conv' && dims?.[1] === 1 && node.attributes.group === dims[0];
}

/** Multiplies (power 1) or divides (−1) the rows of a constant. */
function scaleChannels(
  constants: FloatGraph['constants'],
  name: string,
  factors: Float32Array,
  power: 1 | -1,
): void {
  const { data, dims } = constants.get(name)! as { data: Float32Array; dims: number[] };
  const row = data.length / factors.length;
  const scaled = data.map((value, index) => value * factors[Math.floor(index / row)]! ** power);
  constants.set(name, { data: scaled, dims });
}

/** Index of an element → its channel. */
function alongAxis(dims: readonly number[], axis: number): (index: number) => number {
  const inner = dims.slice(axis + 1).reduce((product, size) => product * size, 1);
  return (index) => Math.floor(index / inner) % dims[axis]!;
}

/** Index of a weight → the channel of the input that it multiplies. */
function inputChannel(node: FloatNode, dims: readonly number[]): (index: number, out: number) => number {
  if (node.op !== 'Conv') return alongAxis(dims, outputAxis(node, dims) === 0 ? 1 : 0);
  const own = alongAxis(dims, 1);
  const groups = typeof node.attributes.group === 'number' ? node.attributes.group : 1;
  return (index, out) => Math.floor((out * groups) / dims[0]!) * dims[1]! + own(index);
}
