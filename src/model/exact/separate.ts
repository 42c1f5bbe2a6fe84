/** Copies shared weights, so that each layer has its own. */
import { DataType, decodeModel, encodeModel, type OnnxGraph, type OnnxNode } from '../onnx.ts';
import { Wiring } from './clipping-layers.ts';

/**
 * ONNX Runtime's switch for its exact kernel (`session.x64quantprecision`) replaces int8 weights and their zero points, once
 * for each layer that uses them, so it cannot load a model whose layers share them.
 * @returns the same model with separate weights and zero points for each layer; null if no layers share any
 * @throws Error if the bytes are not an ONNX model
 */
export function separatedModel(bytes: Uint8Array): Uint8Array | null {
  const model = decodeModel(bytes);
  const nodes = separateNodes(model.graph);
  const constants = separateConstants(model.graph);
  return nodes || constants ? encodeModel(model) : null;
}

function isOfWeights(node: OnnxNode, wiring: Wiring): boolean {
  const weights = wiring.constant(node.input[0]);
  return node.opType === 'DequantizeLinear' && weights?.dataType === DataType.int8;
}

/** Gives the weights of each layer their own DequantizeLinear. */
function separateNodes(graph: OnnxGraph): boolean {
  const wiring = new Wiring(graph);
  const copies = graph.node
    .filter((node) => isOfWeights(node, wiring))
    .flatMap((node) => {
      const [floats] = node.output as [string];
      return wiring.usersOf(floats).flatMap((layer, index): OnnxNode[] => {
        if (index === 0) return [];
        const own = `${floats}_own_${index}`;
        layer.input = layer.input.map((name) => (name === floats ? own : name));
        return [{ ...node, name: own, input: [...node.input], output: [own] }];
      });
    });
  graph.node.unshift(...copies);
  return copies.length > 0;
}

/** Gives each DequantizeLinear of weights its own constants. */
function separateConstants(graph: OnnxGraph): boolean {
  const wiring = new Wiring(graph);
  let changed = false;
  for (const [index, node] of graph.node.entries()) {
    if (!isOfWeights(node, wiring)) continue;
    for (const place of [0, 2]) {
      const tensor = wiring.constant(node.input[place]);
      if (!tensor || tensor.dataLocation === 1 || wiring.usersOf(tensor.name).length < 2) continue;
      const own = `${tensor.name}_own_${index}`;
      graph.initializer.push({ ...tensor, name: own });
      node.input[place] = own;
      changed = true;
    }
  }
  return changed;
}
