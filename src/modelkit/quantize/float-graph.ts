/** A float ONNX graph in the form that quantisation works on: with decoded attributes and constants. */

import { AttributeType, integer, type OnnxModel, type OnnxNode, type OnnxTensor } from '../../model/onnx.ts';
import { type AttributeValue, GraphBuilder, makeNode, type TensorData } from '../../model/onnx-graph.ts';
import { tensorData, tensorShape } from '../../model/tensor.ts';

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
  input: { name: string; type: 'float' | 'uint8' | 'int8'; shape: number[] };
  outputs: { name: string; shape: number[] }[];
  /** In topological order. */
  nodes: FloatNode[];
  constants: Map<string, Constant>;
  opset: number;
}

const INPUT_TYPES: Record<number, FloatGraph['input']['type']> = { 1: 'float', 2: 'uint8', 3: 'int8' };

/**
 * Reads a model unchanged, except that Constant nodes become constants and no-op nodes are removed.
 * @throws Error for attributes and element types that image classifiers do not have
 */
export function readFloatGraph(model: OnnxModel): FloatGraph {
  const { graph } = model;
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, readConstant(tensor)]));
  const nodes: FloatNode[] = [];
  const renamed = new Map<string, string>();
  const given = new Set(graph.output.map(({ name }) => name));
  for (const node of graph.node) {
    const decoded = decodeNode(node);
    decoded.inputs = decoded.inputs.map((name) => renamed.get(name) ?? name);
    const value = node.attribute.find(({ name }) => name === 'value')?.t;
    if (node.opType === 'Constant' && value) constants.set(node.output[0]!, readConstant(value));
    else if ((node.opType === 'Identity' || node.opType === 'Dropout') && !given.has(node.output[0]!)) {
      renamed.set(node.output[0]!, decoded.inputs[0]!);
    } else nodes.push(decoded);
  }
  const input = graph.input.find(({ name }) => !constants.has(name))!;
  const opset = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx');
  return {
    name: graph.name,
    input: {
      name: input.name,
      type: INPUT_TYPES[input.type?.tensorType?.elemType ?? 1] ?? 'float',
      shape: shapeOf(input),
    },
    outputs: graph.output.map((output) => ({ name: output.name, shape: shapeOf(output) })),
    nodes,
    constants,
    opset: opset ? integer(opset.version) : 0,
  };
}

/** Converts the graph back to a model, without unused constants. */
export function writeFloatGraph(graph: FloatGraph): OnnxModel {
  const builder = new GraphBuilder(graph.name);
  builder.input(graph.input.name, graph.input.type, graph.input.shape);
  const uses = useCounts(graph);
  for (const [name, { data, dims }] of graph.constants) {
    if (uses.has(name)) builder.constant(name, data, dims);
  }
  for (const { name, shape } of graph.outputs) builder.output(name, shape);
  const model = builder.build();
  model.graph.node = graph.nodes.map((node) => makeNode(node.op, node.inputs, node.outputs, node.attributes));
  model.opsetImport = [{ domain: '', version: graph.opset }];
  return model;
}

/** How many nodes and outputs use each value. */
export function useCounts(graph: FloatGraph): Map<string, number> {
  const counts = new Map<string, number>();
  const used = [...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)];
  for (const name of used) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Values of a float constant, or null if `name` is not one. */
export function floatConstant(graph: FloatGraph, name: string | undefined): Float32Array | null {
  const constant = graph.constants.get(name ?? '');
  return constant?.data instanceof Float32Array ? constant.data : null;
}

/** A list of integers: an attribute or a constant input. */
export function integers(
  graph: FloatGraph,
  node: FloatNode,
  attribute: string,
  input: number,
): number[] | null {
  const given = node.attributes[attribute];
  if (Array.isArray(given)) return [...(given as number[])];
  const constant = graph.constants.get(node.inputs[input] ?? '');
  return constant?.data instanceof BigInt64Array ? Array.from(constant.data, Number) : null;
}

function shapeOf({ type }: OnnxModel['graph']['input'][number]): number[] {
  return (type?.tensorType?.shape?.dim ?? []).map(({ dimValue }) => integer(dimValue ?? 1) || 1);
}

function decodeNode(node: OnnxNode): FloatNode {
  const attributes: Record<string, AttributeValue> = {};
  for (const attribute of node.attribute) {
    const { name, type } = attribute;
    if (type === AttributeType.int) attributes[name] = integer(attribute.i ?? 0);
    else if (type === AttributeType.float) attributes[name] = { float: attribute.f ?? 0 };
    else if (type === AttributeType.string) attributes[name] = Buffer.from(attribute.s ?? []).toString();
    else if (type === AttributeType.ints) attributes[name] = (attribute.ints ?? []).map(integer);
    else if (node.opType !== 'Constant') {
      throw new Error(`${node.opType} ${node.name}: the attribute ${name} is not supported`);
    }
  }
  return { op: node.opType, inputs: [...node.input], outputs: [...node.output], attributes };
}

function readConstant(tensor: OnnxTensor): Constant {
  return { data: tensorData(tensor), dims: tensorShape(tensor) };
}
