/** Converts a model's image input to bytes in rows or to floats in planes. */
import type { ModelDescription } from '../../model/description.ts';
import { type FloatGraph, type FloatNode, floatConstant } from './float-graph.ts';

/** The input of one form of the model. */
export type PixelForm = Pick<
  ModelDescription['input'],
  'name' | 'type' | 'layout' | 'channels' | 'mean' | 'scale'
>;

/** Names in the graph: the image, its planes, and its pixels as floats. */
const BYTES = 'image';
const PLANES = 'image_planes';
const FLOATS = 'image_real';

/**
 * Changes the input of a float model to uint8 1×H×W×C. The pixels are dequantised with one scale and one zero point
 * for all channels; differences between channels are folded into the first convolutions.
 * @returns null if other nodes than convolutions use the pixels
 */
export function takeBytes(graph: FloatGraph, form: PixelForm): { graph: FloatGraph; form: PixelForm } | null {
  if (graph.input.type !== 'float') return null;
  const { layout, channels, mean, scale } = form;
  const users = graph.nodes.filter(({ inputs }) => inputs.includes(graph.input.name));
  const turned = layout === 'nhwc' && users.length === 1 && isTurned(graph, users[0]!);
  if (layout === 'nhwc' && !turned) return null;
  const value = turned ? users[0]!.outputs[0]! : graph.input.name;
  const first = graph.nodes.filter(({ inputs }) => inputs.includes(value));
  const common = { scale: average(scale), zeroPoint: nearestByte(mean) };
  const exact = scale.every((k) => k === scale[0]) && mean.every((m) => m === common.zeroPoint);
  if (!exact && !first.every((node) => isPlainConvolution(graph, node, value, channels))) return null;

  const constants = new Map(graph.constants);
  const names = [`${FLOATS}_scale`, `${FLOATS}_zero`] as const;
  constants.set(names[0], { data: Float32Array.of(common.scale), dims: [] });
  constants.set(names[1], { data: Uint8Array.of(common.zeroPoint), dims: [] });
  const head: FloatNode[] = [
    { op: 'Transpose', inputs: [BYTES], outputs: [PLANES], attributes: { perm: [0, 3, 1, 2] } },
    { op: 'DequantizeLinear', inputs: [PLANES, ...names], outputs: [FLOATS], attributes: {} },
  ];
  const rest = graph.nodes.flatMap((node): FloatNode[] => {
    if (turned && node === users[0]) return [];
    if (!first.includes(node)) return [node];
    const fed = { ...node, inputs: node.inputs.map((name) => (name === value ? FLOATS : name)) };
    return [exact ? fed : scaleInput(graph, fed, constants, common, form)];
  });
  const [batch, a, b, c] = graph.input.shape as [number, number, number, number];
  const shape = layout === 'nchw' ? [batch, b, c, a] : graph.input.shape;
  return {
    graph: { ...graph, input: { name: BYTES, type: 'uint8', shape }, constants, nodes: [...head, ...rest] },
    form: {
      name: BYTES,
      type: 'uint8',
      layout: 'nhwc',
      channels,
      mean: scale.map(() => 0),
      scale: scale.map(() => 1),
    },
  };
}

/**
 * Changes the input of a model that takes uint8 1×H×W×C through a Transpose and a DequantizeLinear to float32 1×C×H×W;
 * any other model is returned unchanged.
 */
export function takeFloats(graph: FloatGraph, form: PixelForm): { graph: FloatGraph; form: PixelForm } {
  const [turn, dequantize] = graph.nodes as [FloatNode, FloatNode];
  const scale = floatConstant(graph, dequantize.inputs[1])?.[0];
  const zero = graph.constants.get(dequantize.inputs[2] ?? '')?.data[0];
  const known = graph.input.type === 'uint8' && isTurned(graph, turn) && dequantize.op === 'DequantizeLinear';
  if (!known || scale === undefined || zero === undefined || dequantize.inputs[0] !== turn.outputs[0]) {
    return { graph, form };
  }
  const [batch, height, width, channels] = graph.input.shape as [number, number, number, number];
  const [name] = dequantize.outputs as [string];
  return {
    graph: {
      ...graph,
      input: { name, type: 'float', shape: [batch, channels, height, width] },
      nodes: graph.nodes.slice(2),
    },
    form: {
      name,
      type: 'float32',
      layout: 'nchw',
      channels: form.channels,
      mean: form.mean.map(() => Number(zero)),
      scale: form.scale.map(() => scale),
    },
  };
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function nearestByte(mean: PixelForm['mean']): number {
  return Math.max(0, Math.min(255, Math.round(average(mean))));
}

/** Whether a node turns rows of pixels into planes. For a grey image only the shape changes. */
export function isTurned(graph: FloatGraph, { op, inputs, attributes }: FloatNode): boolean {
  if (op === 'Transpose') return String(attributes.perm) === '0,3,1,2';
  const [, height, width, channels] = graph.input.shape;
  const shape = graph.constants.get(inputs[1] ?? '')?.data;
  return op === 'Reshape' && channels === 1 && shape?.join() === [1, 1, height, width].join();
}

function isPlainConvolution(graph: FloatGraph, node: FloatNode, value: string, channels: number): boolean {
  const dims = graph.constants.get(node.inputs[1] ?? '')?.dims;
  return node.op === 'Conv' && node.inputs[0] === value && dims?.[1] === channels;
}

/** float_c = (pixel − mean_c) · scale_c = u · scale_c / scale + (zero − mean_c) · scale_c with u = (pixel − zero) · scale. */
function scaleInput(
  graph: FloatGraph,
  node: FloatNode,
  constants: FloatGraph['constants'],
  common: { scale: number; zeroPoint: number },
  { mean, scale }: PixelForm,
): FloatNode {
  const weights = floatConstant(graph, node.inputs[1])!;
  const { dims } = graph.constants.get(node.inputs[1]!)!;
  const [to, channels, rows, columns] = dims as [number, number, number, number];
  const area = rows * columns;
  const scaled = new Float32Array(weights.length);
  const bias = floatConstant(graph, node.inputs[2])?.slice() ?? new Float32Array(to);
  for (const [index, weight] of weights.entries()) {
    const channel = Math.floor(index / area) % channels;
    scaled[index] = (weight * scale[channel]!) / common.scale;
    bias[Math.floor(index / area / channels)]! +=
      weight * (common.zeroPoint - mean[channel]!) * scale[channel]!;
  }
  const [output] = node.outputs as [string];
  const names = [`${output}_pixel_weights`, `${output}_pixel_bias`] as const;
  constants.set(names[0], { data: scaled, dims });
  constants.set(names[1], { data: bias, dims: [to] });
  return { ...node, inputs: [node.inputs[0]!, ...names] };
}
