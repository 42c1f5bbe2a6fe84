/**
 * Exact sums on x86 processors without VNNI, at the least price.
 *
 * The kernels that ONNX Runtime has for uint8 × int8 there add each two neighbouring products in 16 bits, which clips
 * them when the two weights come to more than 128; its kernel for uint8 × uint8 is exact but takes half as long again.
 * Which sums can be clipped is known from the weights, and two things are done about it, neither of which changes a
 * result by a bit:
 *
 *  1. channels are put in another order, in all layers that share them, so that no two neighbours are too large
 *     together. Where few find no neighbour they get a filler, a channel that nobody looks at.
 *  2. layers for which there is no such order get uint8 weights, w + 128 with the zero point moved along.
 */

import { DataType, decodeModel, encodeModel, type OnnxGraph, type OnnxModel } from '../onnx.ts';
import { makeTensor } from '../onnx-graph.ts';
import { tensorData, tensorShape } from '../tensor.ts';
import { findGroups, type Group } from './channel-groups.ts';
import { canClip, findLayers, type Layer, Wiring } from './clipping-layers.ts';
import { pairChannels } from './pairing.ts';
import { reorder } from './reorder.ts';

/** Fillers that cost less than the slower kernel: in small layers, and as a share of the channels. */
const MOST_FILLERS = 16;
const MOST_SHARE = 1 / 8;
/** Numbers of channels with such a divisor have faster kernels. */
const BLOCKS = [16, 8, 4, 2, 1];

/**
 * A model with the same results whose sums are not clipped on any processor.
 * @returns null when there is something in it that is not understood here: then only ONNX Runtime itself can do it
 * @throws Error when the bytes are no ONNX model
 */
export function exactModel(bytes: Uint8Array): Uint8Array | null {
  const model = decodeModel(bytes);
  return makeExact(model) ? encodeModel(model) : null;
}

/** Changes the model; false and unchanged when there is something in it that is not understood here. */
export function makeExact({ graph }: OnnxModel): boolean {
  const wiring = new Wiring(graph);
  const layers = findLayers(graph, wiring);
  if (!layers) return false;
  for (const group of findGroups(graph, layers, wiring)) {
    const order = orderOf(group);
    if (!order) continue;
    reorder(group, order, wiring);
    // They may speak of fewer channels.
    if (order.length > group.channels) graph.valueInfo = [];
  }
  for (const layer of layers) if (canClip(layer)) makeUnsigned(layer, wiring, graph);
  return true;
}

/** null: it is good as it is, or there is no better one. */
function orderOf({ channels, users }: Group): number[] | null {
  // In a window of pixels, the last of an odd number of channels is the neighbour of the next pixel's first.
  if (!users.some(canClip) || (channels % 2 === 1 && users.some(({ area }) => area > 1))) return null;
  const most = Math.max(MOST_FILLERS, channels * MOST_SHARE);
  const order = pairChannels(channels, users, most);
  if (!order || order.length === channels) return order;
  const block = BLOCKS.find((size) => channels % size === 0)!;
  while (order.length % block > 0) order.push(-1);
  return order;
}

function makeUnsigned({ weights, whole }: Layer, wiring: Wiring, graph: OnnxGraph): void {
  // Two layers may share their weights.
  if (weights.dataType === DataType.uint8) return;
  weights.dataType = DataType.uint8;
  weights.rawData = unsigned(whole);
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
function unsigned(whole: Int8Array): Uint8Array {
  const bytes = new Uint8Array(whole.length);
  for (let i = 0; i < whole.length; i++) bytes[i] = whole[i]! + 128;
  return bytes;
}
