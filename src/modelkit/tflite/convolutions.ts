/** CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED as ONNX convolutions. */
import type { Quantization } from '../../model/onnx-graph.ts';
import { type Conversion, count, type Layout, PLANES, type Value } from './conversion.ts';
import { centred, isPointwise, LARGEST } from './copy-operators.ts';
import { floats } from './elements.ts';
import type { TfliteOperator, TfliteTensor } from './read-tflite.ts';
import { checkWindow, fusedBounds, padsOf, VALID, type Window } from './window.ts';

/** Weights and their order: TensorFlow Lite stores rows, columns and channels, ONNX planes. */
interface Kernel {
  tensor: TfliteTensor;
  /** Output channels, channels of each group, rows, columns, as in the file. */
  dims: [number, number, number, number];
  /** Duplicated channels of the output and of the groups (see copy-operators.ts). */
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

/** A matrix product is a convolution over a single pixel, or over a column with one pixel for each row of the matrix. */
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
  const name = conversion.nameOf(output);
  const bias = operator.inputs[2] ? constantOf(conversion, operator, operator.inputs[2]) : null;
  const [to] = kernel.dims;
  if (bias && bias.data.length !== to * 4) {
    conversion.refuse(operator, `has ${bias.data.length / 4} biases for ${to} channels`);
  }
  const constants = input.int
    ? intConstants(conversion, operator, kernel, bias, input.int.quantization, name)
    : floatConstants(conversion, operator, kernel, bias, name);
  const result = conversion.graph.node(
    'Conv',
    [conversion.float(input), ...constants],
    attributes,
    `${name}_real`,
  );
  return conversion.quantized(result, output, layout, fusedBounds(conversion, operator, activationKind));
}

type Constant = TfliteTensor & { data: Uint8Array };

/** Adds quantised weights and biases. @returns their names */
function intConstants(
  { graph }: Conversion,
  operator: TfliteOperator,
  kernel: Kernel,
  bias: Constant | null,
  { scale: inputScale }: Quantization,
  name: string,
): string[] {
  const scales = Float32Array.from(kernel.tensor.scales);
  const { ints, dims, zeroPoint } = reordered(kernel, isPointwise(operator));
  const names = [graph.dequantizedConstant(`${name}_weights`, ints, dims, scales, { zeroPoint })];
  if (bias) {
    const view = new DataView(bias.data.buffer, bias.data.byteOffset, bias.data.byteLength);
    const channels = withCopies(kernel.dims[0], kernel.copies.out);
    const sums = Int32Array.from(channels, (channel) => view.getInt32(channel * 4, true));
    const biasScales = scales.map((scale) => Math.fround(scale * inputScale));
    names.push(graph.dequantizedConstant(`${name}_bias`, sums, [sums.length], biasScales));
  }
  return names;
}

/** Adds weights and biases as floats, because they or the input are floats. @returns their names */
function floatConstants(
  conversion: Conversion,
  operator: TfliteOperator,
  { tensor, dims, indexOf }: Kernel,
  bias: Constant | null,
  name: string,
): string[] {
  const numbers = (constant: TfliteTensor) =>
    floats(constant) ?? conversion.refuse(operator, `has weights of type ${constant.type}`);
  const given = numbers(tensor);
  const [to, from, rows, columns] = dims;
  const weights = new Float32Array(given.length);
  let at = 0;
  for (let out = 0; out < to; out++) {
    for (let channel = 0; channel < from; channel++) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          weights[at++] = given[indexOf(out, channel, row, column)]!;
        }
      }
    }
  }
  const names = [conversion.graph.constant(`${name}_weights`, weights, dims)];
  if (bias) names.push(conversion.graph.constant(`${name}_bias`, numbers(bias), [to]));
  return names;
}

/**
 * The weights as int8 in ONNX's order, with their zero point. It is 0 if they fit, possibly after splitting them
 * between a channel and its copies.
 */
function reordered(
  kernel: Kernel,
  mayBeSplit: boolean,
): { ints: Int8Array; dims: number[]; zeroPoint: number } {
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
  return { ints: Int8Array.from(split, (weight) => weight + zeroPoint), dims: shape, zeroPoint };
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
): Constant {
  const { data } = tensor ?? {};
  if (!tensor || !data) conversion.refuse(operator, 'has weights that are not constant');
  return { ...tensor, data };
}
