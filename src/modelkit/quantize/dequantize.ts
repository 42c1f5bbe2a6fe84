/** Converts a quantised model to floats, so that it can be quantised again. */
import { type FloatGraph, type FloatNode, floatConstant } from './float-graph.ts';

/**
 * Turns constants with a DequantizeLinear into floats, and each QuantizeLinear with its DequantizeLinear into a Clip:
 * their limits served as activations. A DequantizeLinear of the pixels stays.
 */
export function dequantized(graph: FloatGraph): FloatGraph {
  const constants = new Map(graph.constants);
  const makers = new Map(graph.nodes.map((node) => [node.outputs[0]!, node]));
  const nodes: FloatNode[] = [];
  const renamed = new Map<string, string>();
  const given = new Set(graph.outputs.map(({ name }) => name));
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => renamed.get(name) ?? name);
    const [output] = node.outputs as [string];
    const source = graph.constants.get(node.inputs[0] ?? '');
    if (node.op === 'DequantizeLinear' && source) {
      constants.set(output, { data: floatsOf(graph, node), dims: source.dims });
    } else if (node.op === 'DequantizeLinear' && makerOf(makers, node)) {
      if (given.has(output))
        nodes.push({ op: 'Identity', inputs: [inputs[0]!], outputs: [output], attributes: {} });
      else renamed.set(output, inputs[0]!);
    } else if (node.op === 'QuantizeLinear') {
      nodes.push(limits(graph, { ...node, inputs }, constants));
    } else if (node.op === 'Clip' && graph.constants.get(node.inputs[1] ?? '')?.data instanceof Uint8Array) {
      nodes.push(floatLimits(graph, { ...node, inputs }, makerOf(makers, node)!, constants));
    } else {
      nodes.push({ ...node, inputs });
    }
  }
  return { ...graph, constants, nodes };
}

export function isQuantized(graph: FloatGraph): boolean {
  return graph.nodes.some(({ op }) => op === 'QuantizeLinear');
}

function floatsOf(graph: FloatGraph, node: FloatNode): Float32Array {
  const { data, dims } = graph.constants.get(node.inputs[0]!)!;
  const scales = floatConstant(graph, node.inputs[1])!;
  const zeros = graph.constants.get(node.inputs[2] ?? '')?.data;
  const axis = typeof node.attributes.axis === 'number' ? node.attributes.axis : 1;
  const inner = dims.slice(axis + 1).reduce((product, size) => product * size, 1);
  return Float32Array.from(data as Int8Array, (int, index) => {
    const channel = scales.length > 1 ? Math.floor(index / inner) % scales.length : 0;
    return (int - Number(zeros?.[channel] ?? 0)) * scales[channel]!;
  });
}

/** The QuantizeLinear that a value comes from, possibly through nodes that only move or clip numbers. */
function makerOf(makers: ReadonlyMap<string, FloatNode>, node: FloatNode): FloatNode | undefined {
  let maker = makers.get(node.inputs[0]!);
  while (maker && maker.op !== 'QuantizeLinear') maker = makers.get(maker.inputs[0]!);
  return maker;
}

/** Replaces a QuantizeLinear with a Clip to the range of its integers. */
function limits(graph: FloatGraph, node: FloatNode, constants: FloatGraph['constants']): FloatNode {
  const zeros = graph.constants.get(node.inputs[2] ?? '')?.data;
  const lowest = zeros instanceof Int8Array ? -128 : 0;
  return clip(
    node,
    [lowest, lowest + 255].map((int) => floatOf(graph, node, int)),
    constants,
  );
}

/** Turns a Clip of integers into one of floats. */
function floatLimits(
  graph: FloatGraph,
  node: FloatNode,
  maker: FloatNode,
  constants: FloatGraph['constants'],
): FloatNode {
  const bounds = node.inputs.slice(1).map((name) => Number(graph.constants.get(name)?.data[0] ?? 0));
  return clip(
    node,
    bounds.map((int) => floatOf(graph, maker, int)),
    constants,
  );
}

/** The float value of an integer after a QuantizeLinear. */
function floatOf(graph: FloatGraph, { inputs }: FloatNode, int: number): number {
  const zero = Number(graph.constants.get(inputs[2] ?? '')?.data[0] ?? 0);
  return (int - zero) * floatConstant(graph, inputs[1])![0]!;
}

function clip(node: FloatNode, bounds: readonly number[], constants: FloatGraph['constants']): FloatNode {
  const [output] = node.outputs as [string];
  const names = [`${output}_low`, `${output}_high`];
  for (const [index, name] of names.entries()) {
    constants.set(name, { data: Float32Array.of(bounds[index]!), dims: [] });
  }
  return { op: 'Clip', inputs: [node.inputs[0]!, ...names], outputs: [output], attributes: {} };
}
