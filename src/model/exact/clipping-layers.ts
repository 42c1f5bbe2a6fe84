/** Finds the layers of a quantised graph that multiply uint8 by constant int8, and checks whether their sums can be clipped. */
import { DataType, integer, type OnnxGraph, type OnnxNode, type OnnxTensor } from '../onnx.ts';
import { tensorData, tensorShape } from '../tensor.ts';

/** Maps each value to the node that produces it and to those that use it. */
export class Wiring {
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  readonly #makers = new Map<string, OnnxNode>();
  readonly #users = new Map<string, OnnxNode[]>();

  constructor({ node: nodes, initializer, input: inputs }: OnnxGraph) {
    // An initializer that is also an input is not constant: the caller can override it.
    const open = new Set(inputs.map(({ name }) => name));
    this.constants = new Map(
      initializer.filter(({ name }) => !open.has(name)).map((tensor) => [tensor.name, tensor]),
    );
    for (const node of nodes) {
      for (const output of node.output) this.#makers.set(output, node);
      for (const input of new Set(node.input)) {
        const users = this.#users.get(input);
        if (users) users.push(node);
        else this.#users.set(input, [node]);
      }
    }
  }

  constant(name: string | undefined): OnnxTensor | undefined {
    return this.constants.get(name ?? '');
  }

  makerOf(value: string | undefined): OnnxNode | undefined {
    return this.#makers.get(value ?? '');
  }

  usersOf(value: string): readonly OnnxNode[] {
    return this.#users.get(value) ?? [];
  }
}

/** A convolution or matrix product. Its kernel sums pixel by pixel, over all channels of one pixel. */
export interface Layer {
  node: OnnxNode;
  /** The node that turns the weights into floats. */
  dequantize: OnnxNode;
  weights: OnnxTensor;
  /** The quantized weights, and their zero point. */
  ints: Int8Array;
  zero: number;
  outputs: number;
  /** Input channels and window pixels of each output. */
  channels: number;
  area: number;
  groups: number;
  /** Distance in `ints` from one weight to the next along each axis. */
  step: { output: number; channel: number; pixel: number };
}

/** Operators that multiply integers directly, without a `DequantizeLinear` before them. */
const INTEGER_OPERATORS = /^(QLinear(Conv|MatMul)|ConvInteger|MatMulInteger)$/;
const WEIGHTED = new Set(['Conv', 'Gemm', 'MatMul']);
/** AttributeProto.AttributeType: one subgraph or several. */
const GRAPHS = new Set([5, 10]);

/** @returns null if the graph contains a construct that is not supported here */
export function findLayers(graph: OnnxGraph, wiring: Wiring): Layer[] | null {
  const layers: Layer[] = [];
  for (const node of graph.node) {
    const { opType, domain, attribute } = node;
    const isForeign = domain !== undefined && domain !== '' && domain !== 'ai.onnx';
    if (isForeign || INTEGER_OPERATORS.test(opType) || attribute.some(({ type }) => GRAPHS.has(type)))
      return null;
    const dequantize = wiring.makerOf(node.input[1]);
    if (!WEIGHTED.has(opType) || dequantize?.opType !== 'DequantizeLinear') continue;
    const values = wiring.makerOf(node.input[0]);
    // ONNX Runtime computes such a layer in floats.
    if (values?.opType !== 'DequantizeLinear') continue;
    const weights = wiring.constant(dequantize.input[0]);
    if (weights?.dataType === DataType.uint8) continue;
    const isPlain =
      weights && wiring.usersOf(weights.name).every((user) => user.opType === 'DequantizeLinear');
    const zero = isPlain ? zeroOf(dequantize, wiring) : null;
    const layer = isPlain && zero !== null && layerOf(node, dequantize, weights, zero);
    // ONNX Runtime may turn int8 values into uint8, and the weights with them.
    if (!layer || !isUint8(values, wiring)) return null;
    layers.push(layer);
  }
  return layers;
}

function isUint8({ input: [, , zero] }: OnnxNode, wiring: Wiring): boolean {
  return !zero || wiring.constant(zero)?.dataType === DataType.uint8;
}

/** The zero point of the weights; null if the channels have different ones. */
function zeroOf({ input: [, , name] }: OnnxNode, wiring: Wiring): number | null {
  if (!name) return 0;
  const tensor = wiring.constant(name);
  if (tensor?.dataType !== DataType.int8) return null;
  const [zero = 0, ...others] = tensorData(tensor) as Int8Array;
  return others.every((other) => other === zero) ? zero : null;
}

function layerOf(node: OnnxNode, dequantize: OnnxNode, weights: OnnxTensor, zero: number): Layer | null {
  if (weights.dataType !== DataType.int8 || weights.dataLocation === 1) return null;
  const shape = tensorShape(weights);
  const common = { node, dequantize, weights, zero, ints: tensorData(weights) as Int8Array };
  if (node.opType === 'Conv') {
    if (shape.length < 3) return null;
    const [outputs, channels, ...window] = shape as [number, number, ...number[]];
    const area = window.reduce((product, size) => product * size, 1);
    const step = { output: channels * area, channel: area, pixel: 1 };
    return { ...common, outputs, channels, area, groups: attribute(node, 'group', 1), step };
  }
  if (shape.length !== 2) return null;
  const turned = node.opType === 'Gemm' && attribute(node, 'transB', 0) === 1;
  const [outputs, channels] = (turned ? shape : shape.toReversed()) as [number, number];
  const step = turned
    ? { output: channels, channel: 1, pixel: 0 }
    : { output: 1, channel: outputs, pixel: 0 };
  return { ...common, outputs, channels, area: 1, groups: 1, step };
}

function attribute(node: OnnxNode, name: string, otherwise: number): number {
  const value = node.attribute.find((attribute) => attribute.name === name)?.i;
  return value === undefined ? otherwise : integer(value);
}

export function isDepthwise({ groups, channels, outputs }: Layer): boolean {
  return groups > 1 && channels === 1 && outputs === groups;
}

/**
 * Largest absolute sum of two neighbouring weights: 255 · 128 = 32,640 fits into 16 bits, 255 · 129 does not. (Weights
 * of different signs never exceed it.)
 */
export const MAX_PAIR_SUM = 128;

/**
 * Whether a sum of this layer can be clipped: the kernels for AVX2 and AVX-512 add each pair of neighbouring products in
 * 16 bits (`vpmaddubsw`), the rest in 32. Those for depthwise convolutions add everything in 32 bits (mlas/lib/x86_64 and
 * mlas/lib/qdwconv.cpp).
 */
export function canClip(layer: Layer): boolean {
  if (isDepthwise(layer)) return false;
  const { ints, outputs, channels, area, step } = layer;
  for (let output = 0; output < outputs; output++) {
    let first = 0;
    let isSecond = false;
    for (let pixel = 0; pixel < area; pixel++) {
      let index = output * step.output + pixel * step.pixel;
      for (let channel = 0; channel < channels; channel++) {
        const weight = ints[index]!;
        if (isSecond && Math.abs(first + weight) > MAX_PAIR_SUM) return true;
        first = weight;
        isSecond = !isSecond;
        index += step.channel;
      }
    }
  }
  return false;
}
