/** Weights that only one layer uses. */
import { DataType, decodeModel, encodeModel, type OnnxGraph, type OnnxNode } from '../onnx.ts';
import { Wiring } from './clipping-layers.ts';

/**
 * ONNX Runtime's switch for its exact kernel (`session.x64quantprecision`) replaces int8 weights and their zero points, once
 * for each layer that uses them, so it cannot load a model whose layers share them.
 * @returns the same model with weights and zero points of its own for each layer; null where no layers share any
 * @throws Error when the bytes are no ONNX model
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

/** Gives each layer a DequantizeLinear of its own for its weights. */
function separateNodes(graph: OnnxGraph): boolean {
  const wiring = new Wiring(graph);
  const copies = graph.node
    .filter((node) => isOfWeights(node, wiring))
    .flatMap((node) => {
      const [real] = node.output as [string];
      return wiring.usersOf(real).flatMap((layer, index): OnnxNode[] => {
        if (index === 0) return [];
        const own = `${real}_own_${index}`;
        layer.input = layer.input.map((name) => (name === real ? own : name));
        return [{ ...node, name: own, input: [...node.input], output: [own] }];
      });
    });
  graph.node.unshift(...copies);
  return copies.length > 0;
}

/** Gives each DequantizeLinear of weights numbers of its own. */
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
