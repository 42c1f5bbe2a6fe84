/**
 * Makes sums exact on x86 processors without VNNI at the lowest cost.
 *
 * There, ONNX Runtime's kernels for uint8 × int8 add each pair of neighbouring products in 16 bits, which clips the sum
 * if the two weights add up to more than 128. Its kernel for uint8 × uint8 is exact but takes half as long again. The
 * weights show which sums can be clipped. Two changes avoid that, and neither changes a result by a bit:
 *
 *  1. Channels are reordered, in all layers that share them, so that no two neighbouring weights are too large together.
 *     A few channels without a suitable neighbour get a filler: a channel that no layer reads.
 *  2. Layers for which no such order exists get uint8 weights: w + 128, with the zero point shifted, too.
 */

import { DataType, decodeModel, encodeModel, type OnnxGraph, type OnnxModel } from '../onnx.ts';
import { makeTensor } from '../onnx-graph.ts';
import { tensorData, tensorShape } from '../tensor.ts';
import { findGroups, type Group } from './channel-groups.ts';
import { canClip, findLayers, type Layer, Wiring } from './clipping-layers.ts';
import { pairChannels } from './pairing.ts';
import { reorder } from './reorder.ts';

/** Up to this many fillers, or this share of the channels, cost less than the slower kernel. */
const MAX_FILLERS = 16;
const MAX_FILLER_SHARE = 1 / 8;
/** Kernels are faster if the number of channels is a multiple of one of these. */
const BLOCKS = [16, 8, 4, 2, 1];

/**
 * Returns a model with the same results whose sums are not clipped on any processor.
 * @returns null if the model contains a construct that is not supported here: then only ONNX Runtime's own switch helps
 * @throws Error if the bytes are not an ONNX model
 */
export function exactModel(bytes: Uint8Array): Uint8Array | null {
  const model = decodeModel(bytes);
  return makeExact(model) ? encodeModel(model) : null;
}

/** Changes the model in place. @returns false, with the model unchanged, if it contains an unsupported construct */
export function makeExact({ graph }: OnnxModel): boolean {
  const wiring = new Wiring(graph);
  const layers = findLayers(graph, wiring);
  if (!layers) return false;
  for (const group of findGroups(graph, layers, wiring)) {
    const order = orderOf(group);
    if (!order) continue;
    reorder(group, order, wiring);
    // They may state the old number of channels.
    if (order.length > group.channels) graph.valueInfo = [];
  }
  for (const layer of layers) if (canClip(layer)) makeUnsigned(layer, wiring, graph);
  return true;
}

/** @returns null if the present order is good, or no better one exists */
function orderOf({ channels, users }: Group): number[] | null {
  // If the number of channels is odd, the last channel of a pixel is the neighbour of the next pixel's first one.
  if (!users.some(canClip) || (channels % 2 === 1 && users.some(({ area }) => area > 1))) return null;
  const most = Math.max(MAX_FILLERS, channels * MAX_FILLER_SHARE);
  const order = pairChannels(channels, users, most);
  if (!order || order.length === channels) return order;
  const block = BLOCKS.find((size) => channels % size === 0)!;
  while (order.length % block > 0) order.push(-1);
  return order;
}

function makeUnsigned({ weights, ints }: Layer, wiring: Wiring, graph: OnnxGraph): void {
  // Two layers may share their weights.
  if (weights.dataType === DataType.uint8) return;
  weights.dataType = DataType.uint8;
  weights.rawData = unsigned(ints);
  weights.int32Data = [];
  graph.valueInfo = graph.valueInfo.filter(({ name }) => name !== weights.name);
  for (const [index, { input }] of wiring.usersOf(weights.name).entries()) {
    const zero = wiring.constant(input[2]);
    const name = `${weights.name}_unsigned_zero_${index}`;
    const zeros = zero ? unsigned(tensorData(zero) as Int8Array) : Uint8Array.of(128);
    graph.initializer.push(makeTensor(name, zeros, zero ? tensorShape(zero) : []));
    input[2] = name;
  }
}

/** The same numbers + 128. */
function unsigned(ints: Int8Array): Uint8Array {
  const bytes = new Uint8Array(ints.length);
  for (let i = 0; i < ints.length; i++) bytes[i] = ints[i]! + 128;
  return bytes;
}
