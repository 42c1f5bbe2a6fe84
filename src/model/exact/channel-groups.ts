/** Finds the values whose channels can be reordered together without changing a result. */
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../onnx.ts';
import { tensorData, tensorShape } from '../tensor.ts';
import { isDepthwise, type Layer, type Wiring } from './clipping-layers.ts';

/** Operators that keep every channel in its place. */
const CARRIERS = new Set([
  'QuantizeLinear',
  'DequantizeLinear',
  'Identity',
  'Relu',
  'Clip',
  'LeakyRelu',
  'Sigmoid',
  'HardSigmoid',
  'HardSwish',
  'Tanh',
  'Elu',
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'Add',
  'Sub',
  'Mul',
  'Div',
]);

/** Values with the same channels, produced and used only by convolutions and carriers. */
export interface Group {
  channels: number;
  /** Convolutions whose outputs are these channels; depthwise ones also have them as input. */
  makers: Layer[];
  /** Convolutions that sum over these channels. */
  users: Layer[];
}

export function findGroups(graph: OnnxGraph, layers: readonly Layer[], wiring: Wiring): Group[] {
  const sets = new Sets();
  const byNode = new Map(layers.map((layer) => [layer.node, layer]));
  for (const { name } of [...graph.input, ...graph.output]) sets.close(name);
  const movable: Layer[] = [];
  for (const node of graph.node) {
    const layer = byNode.get(node);
    const [input, output] = node.input[0] === undefined ? [] : [node.input[0], node.output[0]!];
    const values = node.input.filter((name) => name && !wiring.constants.has(name));
    if (layer && isMovable(layer, wiring)) {
      if (isDepthwise(layer)) sets.join(input!, output!);
      movable.push(layer);
    } else if (isCarrier(node, wiring)) for (const value of values) sets.join(value, output!);
    else for (const value of [...values, ...node.output]) sets.close(value);
  }
  const groups = new Map<string, Group>();
  for (const layer of movable) {
    const enter = (value: string, role: 'makers' | 'users', channels: number) => {
      const set = sets.of(value);
      const group = groups.get(set) ?? { channels, makers: [], users: [] };
      // A single channel may be broadcast to many.
      if (group.channels !== channels) sets.close(set);
      group[role].push(layer);
      groups.set(set, group);
    };
    enter(layer.node.output[0]!, 'makers', layer.outputs);
    if (!isDepthwise(layer)) enter(layer.node.input[0]!, 'users', layer.channels);
  }
  return [...groups].flatMap(([set, group]) => (sets.isOpen(set) ? [group] : []));
}

/**
 * Whether a convolution computes in integers (float sums depend on their order), shares its weights and constants with no
 * other layer, and is either depthwise or sums over all channels.
 */
function isMovable(layer: Layer, wiring: Wiring): boolean {
  const { node, dequantize, weights, groups } = layer;
  if (node.opType !== 'Conv' || (groups > 1 && !isDepthwise(layer))) return false;
  if (!isQuantized(node, wiring) || !hasFittingBias(layer, wiring)) return false;
  const bias = wiring.makerOf(node.input[2]);
  const own = [dequantize.output[0]!, weights.name, ...perOutput(layer, wiring).map(({ name }) => name)];
  if (bias) own.push(bias.output[0]!);
  return own.every((name) => wiring.usersOf(name).length === 1);
}

/**
 * Whether ONNX Runtime fuses a convolution with the quantisation after it: between them is nothing, or an activation that
 * clips only values that the quantisation clips anyway (core/optimizer/qdq_transformer).
 */
function isQuantized({ output: [output] }: OnnxNode, wiring: Wiring): boolean {
  const users = wiring.usersOf(output!);
  const [user] = users;
  if (!user || users.length > 1) return false;
  if (user.opType === 'QuantizeLinear') return true;
  const [quantize, ...others] = wiring.usersOf(user.output[0]!);
  if (quantize?.opType !== 'QuantizeLinear' || others.length > 0) return false;
  const zero = numberOf(quantize.input[2], wiring) ?? 0;
  if (user.opType === 'Relu') return zero === 0;
  const [scale, low, high] = [quantize.input[1], user.input[1], user.input[2]].map((name) =>
    numberOf(name, wiring),
  );
  if (user.opType !== 'Clip' || scale === undefined || low === undefined || high === undefined) return false;
  return low <= -zero * scale && high >= (255 - zero) * scale;
}

/** Relative tolerance of a bias scale. */
const SCALE_TOLERANCE = 1e-4;

/** Whether the bias has the scale of the products. ONNX Runtime computes layers with any other bias scale in floats. */
function hasFittingBias({ node, dequantize }: Layer, wiring: Wiring): boolean {
  if (!node.input[2]) return true;
  const bias = wiring.makerOf(node.input[2]);
  const input = numberOf(wiring.makerOf(node.input[0])?.input[1], wiring);
  const [steps, scales] = [bias?.input[1], dequantize.input[1]].map((name) => wiring.constant(name));
  if (bias?.opType !== 'DequantizeLinear' || input === undefined || !steps || !scales) return false;
  const expected = [...(tensorData(scales) as Float32Array)].map((scale) => scale * input);
  const found = tensorData(steps) as Float32Array;
  return (
    found.length === expected.length &&
    expected.every((step, index) => Math.abs(found[index]! - step) <= SCALE_TOLERANCE * Math.abs(step))
  );
}

function numberOf(name: string | undefined, wiring: Wiring): number | undefined {
  const tensor = wiring.constant(name);
  return tensor && sizeOf(tensor) === 1 ? Number(tensorData(tensor)[0]) : undefined;
}

/** The constants that have one number for each output of a convolution: bias, scales and zero points. */
export function perOutput({ node, dequantize, outputs }: Layer, wiring: Wiring): OnnxTensor[] {
  const bias = wiring.makerOf(node.input[2]);
  return [...dequantize.input.slice(1), ...(bias ? bias.input : node.input.slice(2))].flatMap((name) => {
    const tensor = wiring.constant(name);
    return tensor && outputs > 1 && sizeOf(tensor) === outputs ? [tensor] : [];
  });
}

/** A carrier's constants must be the same for all channels. */
function isCarrier(node: OnnxNode, wiring: Wiring): boolean {
  return (
    CARRIERS.has(node.opType) &&
    node.input.every((name) => {
      const tensor = wiring.constant(name);
      return !tensor || sizeOf(tensor) === 1;
    })
  );
}

function sizeOf(tensor: OnnxTensor): number {
  return tensorShape(tensor).reduce((product, size) => product * size, 1);
}

/** Disjoint sets of values (union-find). A union with a closed set is closed. */
class Sets {
  readonly #parents = new Map<string, string>();
  readonly #closed = new Set<string>();

  of(value: string): string {
    let root = value;
    for (let up = this.#parents.get(root); up !== undefined; up = this.#parents.get(root)) root = up;
    return root;
  }

  join(a: string, b: string): void {
    const [from, to] = [this.of(a), this.of(b)];
    if (from === to) return;
    this.#parents.set(from, to);
    if (this.#closed.has(from)) this.#closed.add(to);
  }

  close(value: string): void {
    this.#closed.add(this.of(value));
  }

  isOpen(value: string): boolean {
    return !this.#closed.has(this.of(value));
  }
}
