/** Reorders the channels of a group in all layers that make or use them. */

import type { OnnxTensor } from '../onnx.ts';
import type { TensorData } from '../onnx-graph.ts';
import { tensorData } from '../tensor.ts';
import { type Group, perOutput } from './channel-groups.ts';
import { isDepthwise, type Layer, type Wiring } from './clipping-layers.ts';
import { FILLER } from './pairing.ts';

/** @param order for each new place its channel, or FILLER */
export function reorder({ makers, users }: Group, order: readonly number[], wiring: Wiring): void {
  for (const layer of makers) reorderOutputs(layer, order, wiring);
  for (const layer of users) reorderInputs(layer, order);
}

function reorderOutputs(layer: Layer, order: readonly number[], wiring: Wiring): void {
  for (const tensor of perOutput(layer, wiring)) setData(tensor, reordered(tensorData(tensor), order, 1), 0);
  if (isDepthwise(layer)) {
    layer.groups = order.length;
    layer.node.attribute.find(({ name }) => name === 'group')!.i = order.length;
  }
  layer.outputs = order.length;
  setWeights(layer, reordered(layer.ints, order, layer.channels * layer.area), 0);
}

function reorderInputs(layer: Layer, order: readonly number[]): void {
  const { ints, zero, outputs, channels, area } = layer;
  const moved = new Int8Array(outputs * order.length * area).fill(zero);
  for (let output = 0; output < outputs; output++) {
    for (const [place, channel] of order.entries()) {
      if (channel === FILLER) continue;
      const from = (output * channels + channel) * area;
      const to = (output * order.length + place) * area;
      for (let pixel = 0; pixel < area; pixel++) moved[to + pixel] = ints[from + pixel]!;
    }
  }
  layer.channels = order.length;
  layer.step.output = order.length * area;
  setWeights(layer, moved, 1);
}

/** Reorders blocks of `size` numbers. A filler gets a copy of the first block: its values do not matter. */
function reordered<Data extends TensorData>(data: Data, order: readonly number[], size: number): Data {
  const Numbers = data.constructor as new (length: number) => Data;
  const moved = new Numbers(order.length * size);
  for (const [place, channel] of order.entries()) {
    const from = channel === FILLER ? 0 : channel * size;
    for (let i = 0; i < size; i++) moved[place * size + i] = data[from + i]!;
  }
  return moved;
}

function setWeights(layer: Layer, ints: Int8Array, axis: 0 | 1): void {
  layer.ints = ints;
  setData(layer.weights, ints, axis, axis === 0 ? layer.outputs : layer.channels);
}

function setData(tensor: OnnxTensor, data: TensorData, axis: number, size = data.length): void {
  tensor.rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  tensor.floatData = [];
  tensor.int32Data = [];
  tensor.int64Data = [];
  tensor.dims[axis] = size;
}
