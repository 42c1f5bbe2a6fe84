/** CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED as ONNX convolutions. */
import { type Conversion, count, type Layout, PLANES, type Value } from './conversion.ts';
import { centred, isPointwise, LARGEST } from './copies.ts';
import type { TfliteOperator, TfliteTensor } from './read.ts';
import { checkWindow, fusedBounds, padsOf, VALID, type Window } from './window.ts';

/** Weights and how they are turned: TensorFlow Lite has them as rows, columns and channels, ONNX as planes. */
interface Kernel {
  tensor: TfliteTensor;
  /** Output channels, channels of each group, rows, columns, as in the file. */
  dims: [number, number, number, number];
  /** The channels that the output and the groups have a second time (see copies.ts). */
  copies: { out: readonly number[]; in: readonly number[] };
  /** Index in the file of the weight at (output channel, channel of the group, row, column). */
  indexOf: (out: number, channel: number, row: number, column: number) => number;
}

export function convolution(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const { options } = operator;
  const depthwise = operator.name === 'DEPTHWISE_CONV_2D';
  const input = conversion.pendingValue(operator.inputs[0]);
  const weights = constantOf(conversion, operator, operator.inputs[1]);
  const [outer, rows, columns, inner] = weights.shape as [number, number, number, number];
  const channels = input.shape.at(-1) ?? 0;
  const copies = { out: conversion.copiesOf(output), in: conversion.copiesOf(operator.inputs[0]) };
  const kernel: Kernel = depthwise
    ? {
        tensor: weights,
        dims: [inner, 1, rows, columns],
        copies: { out: copies.out, in: [] },
        indexOf: (out, _channel, row, column) => (row * columns + column) * inner + out,
      }
    : {
        tensor: weights,
        dims: [outer, inner, rows, columns],
        copies,
        indexOf: (out, channel, row, column) => ((out * rows + row) * columns + column) * inner + channel,
      };
  const group = depthwise ? channels : channels / inner;
  if (weights.shape.length !== 4 || group % 1 !== 0 || group < 1 || kernel.dims[0] % group !== 0) {
    conversion.refuse(operator, `has weights of ${weights.shape.join('×')} for ${channels} channels`);
  }
  const dilations = depthwise ? ([6, 5] as const) : ([5, 4] as const);
  const window: Window = {
    kernel: [rows, columns],
    stride: [options?.int32(2) ?? 0, options?.int32(1) ?? 0],
    dilation: [options?.int32(dilations[0], 1) ?? 1, options?.int32(dilations[1], 1) ?? 1],
    valid: options?.int8(0) === VALID,
  };
  const layout = checkWindow(conversion, operator, window);
  const ready = window.valid ? input : conversion.padded(input);
  const planes = conversion.asPlanes(ready);
  const pads = padsOf(window, ready.shape[1] ?? 0, ready.shape[2] ?? 0, ready.padding);
  const attributes = {
    group: depthwise ? group + copies.in.length : group,
    kernel_shape: window.kernel,
    strides: window.stride,
    dilations: window.dilation,
    pads,
  };
  const kind = options?.int8(depthwise ? 4 : 3) ?? 0;
  return weighted(conversion, operator, output, planes, kernel, attributes, kind, layout);
}

/** A matrix product is a convolution over a single pixel, or over a column of them: one for each row of the matrix. */
export function fullyConnected(
  conversion: Conversion,
  operator: TfliteOperator,
  output: TfliteTensor,
): Value {
  const weights = constantOf(conversion, operator, operator.inputs[1]);
  const [to, from] = weights.shape as [number, number];
  const input = conversion.value(operator.inputs[0]);
  const size = count(input.shape);
  const rows = size / from;
  if (weights.shape.length !== 2 || rows % 1 !== 0 || rows < 1) {
    conversion.refuse(operator, `has weights of ${weights.shape.join('×')} for ${size} numbers`);
  }
  const pixels = conversion.asPlanes(conversion.reshape(input, [1, rows, 1, from], PLANES));
  const kernel: Kernel = {
    tensor: weights,
    dims: [to, from, 1, 1],
    copies: { out: [], in: [] },
    indexOf: (out, channel) => out * from + channel,
  };
  const attributes = { group: 1, kernel_shape: [1, 1] };
  const kind = operator.options?.int8(0) ?? 0;
  const layout = { shape: [1, rows, 1, to], axes: PLANES };
  const made = weighted(conversion, operator, output, pixels, kernel, attributes, kind, layout);
  return conversion.reshape(made, count(output.shape) === rows * to ? output.shape : [rows, to]);
}

function weighted(
  conversion: Conversion,
  operator: TfliteOperator,
  output: TfliteTensor,
  input: Value,
  kernel: Kernel,
  attributes: Record<string, number | number[]>,
  activationKind: number,
  layout: Layout,
): Value {
  const { graph } = conversion;
  const [to] = kernel.dims;
  const name = conversion.nameOf(output);
  const scales = Float32Array.from(kernel.tensor.scales);
  const { whole, dims, zeroPoint } = turned(kernel, isPointwise(operator));
  const inputs = [
    conversion.real(input),
    graph.dequantizedConstant(`${name}_weights`, whole, dims, scales, { zeroPoint }),
  ];
  const bias = operator.inputs[2];
  if (bias) {
    const { data } = constantOf(conversion, operator, bias);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    if (data.length !== to * 4) {
      conversion.refuse(operator, `has ${data.length / 4} biases for ${to} channels`);
    }
    const channels = withCopies(to, kernel.copies.out);
    const sums = Int32Array.from(channels, (channel) => view.getInt32(channel * 4, true));
    const inputScale = input.whole?.quantization.scale ?? 1;
    const biasScales = scales.map((scale) => Math.fround(scale * inputScale));
    inputs.push(graph.dequantizedConstant(`${name}_bias`, sums, [sums.length], biasScales));
  }
  const result = graph.node('Conv', inputs, attributes, `${name}_real`);
  return conversion.quantized(result, output, layout, fusedBounds(conversion, operator, activationKind));
}

/**
 * The weights as int8 in ONNX's order, with their zero point: 0 where they fit around it, by themselves or split
 * between a channel and its copies.
 */
function turned(
  kernel: Kernel,
  mayBeSplit: boolean,
): { whole: Int8Array; dims: number[]; zeroPoint: number } {
  const { tensor, dims, copies, indexOf } = kernel;
  const [to, from, rows, columns] = dims;
  const weights = centred(tensor);
  const outs = withCopies(to, copies.out);
  const width = from + copies.in.length;
  const split = new Int16Array(outs.length * width * rows * columns);
  const area = rows * columns;
  for (const [at, out] of outs.entries()) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const first = at * width * area + row * columns + column;
        for (let channel = 0; channel < from; channel++) {
          split[first + channel * area] = weights[indexOf(out, channel, row, column)]!;
        }
        for (const [copy, channel] of mayBeSplit ? copies.in.entries() : []) {
          const own = first + channel * area;
          const rest = split[own]! - within(split[own]!);
          split[own]! -= rest;
          split[first + (from + copy) * area] = rest;
        }
      }
    }
  }
  const symmetric = split.every((weight) => weight === within(weight));
  const zeroPoint = symmetric ? 0 : (tensor.zeroPoints[0] ?? 0) - (tensor.type === 'uint8' ? 128 : 0);
  const shape = [outs.length, width, rows, columns];
  return { whole: Int8Array.from(split, (weight) => weight + zeroPoint), dims: shape, zeroPoint };
}

function within(weight: number): number {
  return Math.max(-LARGEST, Math.min(LARGEST, weight));
}

function withCopies(channels: number, copies: readonly number[]): number[] {
  return [...Array(channels).keys(), ...copies];
}

function constantOf(
  conversion: Conversion,
  operator: TfliteOperator,
  tensor: TfliteTensor | null | undefined,
): TfliteTensor & { data: Uint8Array } {
  const { data } = tensor ?? {};
  if (!tensor || !data) conversion.refuse(operator, 'has weights that are not constant');
  return { ...tensor, data };
}
