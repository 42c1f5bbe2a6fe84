/** A float ONNX graph in the form that quantisation works on: nodes with decoded attributes, constants at hand. */
import type { AttributeValue, TensorData } from '../graph.ts';
import { AttributeType, integer, type OnnxModel, type OnnxNode, type OnnxTensor } from '../onnx.ts';
import { tensorData, tensorShape } from '../tensor.ts';

export interface FloatNode {
  op: string;
  inputs: string[];
  outputs: string[];
  attributes: Record<string, AttributeValue>;
}

export interface Constant {
  data: TensorData;
  dims: number[];
}

export interface FloatGraph {
  name: string;
  input: string;
  outputs: { name: string; shape: number[] }[];
  /** In an order in which everything is made before it is used. */
  nodes: FloatNode[];
  constants: Map<string, Constant>;
}

/**
 * Reads a float model and simplifies it: constants become constants, steps that do nothing go, batch
 * normalisation becomes part of the convolution before it.
 * @throws Error for attributes and element types that no image classifier has
 */
export function floatGraph(model: OnnxModel): FloatGraph {
  const { graph } = model;
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, readConstant(tensor)]));
  const nodes: FloatNode[] = [];
  const renamed = new Map<string, string>();
  for (const node of graph.node) {
    const decoded = decodeNode(node);
    decoded.inputs = decoded.inputs.map((name) => renamed.get(name) ?? name);
    const value =
      node.opType === 'Constant' ? node.attribute.find(({ name }) => name === 'value')?.t : undefined;
    if (value) constants.set(node.output[0]!, readConstant(value));
    else if (node.opType === 'Identity' || node.opType === 'Dropout') {
      renamed.set(node.output[0]!, decoded.inputs[0]!);
    } else nodes.push(decoded);
  }
  const input = graph.input.find(({ name }) => !constants.has(name))!.name;
  const outputs = graph.output.map(({ name, type }) => ({
    name: renamed.get(name) ?? name,
    shape: (type?.tensorType?.shape?.dim ?? []).map(({ dimValue }) => integer(dimValue ?? 1) || 1),
  }));
  return foldNormalisation({ name: graph.name, input, outputs, nodes, constants });
}

/** How many nodes and outputs use each value. */
export function useCounts(graph: FloatGraph): Map<string, number> {
  const counts = new Map<string, number>();
  const used = [...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)];
  for (const name of used) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Float values of a constant, or null when `name` is none. */
export function floatConstant(graph: FloatGraph, name: string | undefined): Float32Array | null {
  const constant = graph.constants.get(name ?? '');
  return constant?.data instanceof Float32Array ? constant.data : null;
}

function decodeNode(node: OnnxNode): FloatNode {
  const attributes: Record<string, AttributeValue> = {};
  for (const attribute of node.attribute) {
    const { name, type } = attribute;
    if (type === AttributeType.int) attributes[name] = integer(attribute.i ?? 0);
    else if (type === AttributeType.float) attributes[name] = { float: attribute.f ?? 0 };
    else if (type === AttributeType.string) attributes[name] = Buffer.from(attribute.s ?? []).toString();
    else if (type === AttributeType.ints) attributes[name] = (attribute.ints ?? []).map(integer);
    else if (node.opType !== 'Constant')
      throw new Error(`${node.opType} ${node.name}: attribute ${name} is not understood`);
  }
  return { op: node.opType, inputs: [...node.input], outputs: [...node.output], attributes };
}

function readConstant(tensor: OnnxTensor): Constant {
  return { data: tensorData(tensor), dims: tensorShape(tensor) };
}

/** w' = w · γ / √(σ² + ε), b' = β + (b − μ) · γ / √(σ² + ε), for each channel. */
function foldNormalisation(graph: FloatGraph): FloatGraph {
  const uses = useCounts(graph);
  const makers = new Map(graph.nodes.map((node) => [node.outputs[0]!, node]));
  const nodes = graph.nodes.filter((node) => {
    const convolution = makers.get(node.inputs[0] ?? '');
    if (node.op !== 'BatchNormalization' || convolution?.op !== 'Conv') return true;
    const statistics = node.inputs.slice(1, 5).map((name) => floatConstant(graph, name));
    const weights = floatConstant(graph, convolution.inputs[1]);
    if (!weights || statistics.includes(null) || uses.get(node.inputs[0]!) !== 1) return true;
    const [gamma, beta, mean, variance] = statistics as Float32Array[];
    const epsilon = node.attributes.epsilon as { float: number } | undefined;
    const channels = gamma!.length;
    const before = floatConstant(graph, convolution.inputs[2]);
    const folded = weights.slice();
    const bias = new Float32Array(channels);
    const perChannel = weights.length / channels;
    for (let channel = 0; channel < channels; channel++) {
      const factor = gamma![channel]! / Math.sqrt(variance![channel]! + (epsilon?.float ?? 1e-5));
      for (let i = 0; i < perChannel; i++) folded[channel * perChannel + i]! *= factor;
      bias[channel] = beta![channel]! + ((before?.[channel] ?? 0) - mean![channel]!) * factor;
    }
    const [output] = node.outputs as [string];
    const dims = graph.constants.get(convolution.inputs[1]!)!.dims;
    graph.constants.set(`${output}_weights`, { data: folded, dims });
    graph.constants.set(`${output}_bias`, { data: bias, dims: [channels] });
    convolution.inputs = [convolution.inputs[0]!, `${output}_weights`, `${output}_bias`];
    convolution.outputs = [output];
    makers.set(output, convolution);
    return false;
  });
  return { ...graph, nodes };
}
