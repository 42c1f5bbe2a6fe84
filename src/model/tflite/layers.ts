/** How each operator of TensorFlow Lite is written in ONNX. Options are read by field number of its schema. */
import { activation, type Conversion, makeValue, type Value } from './conversion.ts';
import { convolution, fullyConnected } from './convolutions.ts';
import type { TfliteOperator, TfliteTensor } from './read.ts';
import { ALONE, checkWindow, clamp, fusedActivation, padsOf, VALID, type Window } from './window.ts';

export type Layer = (conversion: Conversion, operator: TfliteOperator, output: TfliteTensor) => Value;

export const LAYERS: Record<string, Layer> = {
  CONV_2D: convolution,
  DEPTHWISE_CONV_2D: convolution,
  FULLY_CONNECTED: fullyConnected,
  ADD: elementwise('Add'),
  SUB: elementwise('Sub'),
  MUL: elementwise('Mul'),
  AVERAGE_POOL_2D: pool('AveragePool'),
  MAX_POOL_2D: pool('MaxPool'),
  MEAN: mean,
  RESHAPE: reshape,
  SQUEEZE: reshape,
  PAD: pad,
  PADV2: pad,
  RELU: relu,
  RELU6: relu,
  RELU_0_TO_1: relu,
  RELU_N1_TO_1: relu,
  SOFTMAX: softmax,
  LOGISTIC: (conversion, { inputs }, output) => {
    const value = conversion.padded(conversion.value(inputs[0]));
    const real = conversion.graph.node('Sigmoid', [conversion.real(value)]);
    return { ...makeValue(output.shape, null, value.planes), real };
  },
  QUANTIZE: requantize,
  DEQUANTIZE: (conversion, { inputs }, output) => {
    const input = conversion.padded(conversion.value(inputs[0]));
    return { ...makeValue(output.shape, null, input.planes), real: conversion.real(input) };
  },
};

function elementwise(op: string): Layer {
  return (conversion, operator, output) => {
    const [first = null, second = null] = operator.inputs;
    const operands = [operand(conversion, operator, first), operand(conversion, operator, second)];
    const planes = output.shape.length === 4;
    const result = conversion.graph.node(op, operands);
    const kind = operator.options?.int8(0) ?? 0;
    return conversion.quantized(fusedActivation(conversion, operator, kind, result, output), output, planes);
  };
}

/** A computed value, or a constant for every channel, as reals in planes. */
function operand(conversion: Conversion, operator: TfliteOperator, tensor: TfliteTensor | null): string {
  if (!tensor) conversion.refuse(operator, 'lacks an input');
  if (!tensor.data) {
    const value = conversion.padded(conversion.value(tensor));
    return conversion.real(value.shape.length === 4 ? conversion.asPlanes(value) : value);
  }
  const quantization = activation(tensor);
  const size = tensor.shape.reduce((product, dimension) => product * dimension, 1);
  const perChannel = size === (tensor.shape.at(-1) ?? 1);
  const four = operator.outputs[0]?.shape.length === 4;
  if (!quantization || !perChannel)
    conversion.refuse(operator, `has the constant ${conversion.nameOf(tensor)}`);
  const shift = tensor.type === 'int8' ? 128 : 0;
  const whole = Uint8Array.from(tensor.data, (byte) => (byte + shift) & 255);
  const shape = four ? [1, size, 1, 1] : [1, size];
  const name = conversion.graph.constant(conversion.nameOf(tensor), whole, shape);
  return conversion.graph.dequantize(name, quantization);
}

function pool(op: 'AveragePool' | 'MaxPool'): Layer {
  return (conversion, operator, output) => {
    const { options } = operator;
    const value = conversion.asPlanes(conversion.padded(conversion.value(operator.inputs[0])));
    const window: Window = {
      kernel: [options?.int32(4) ?? 0, options?.int32(3) ?? 0],
      stride: [options?.int32(2) ?? 0, options?.int32(1) ?? 0],
      dilation: [1, 1],
      valid: options?.int8(0) === VALID,
    };
    const [, rows = 0, columns = 0] = value.shape;
    checkWindow(conversion, operator, window);
    const whole = window.kernel[0] === rows && window.kernel[1] === columns && window.valid;
    const result =
      op === 'AveragePool' && whole
        ? conversion.graph.node('GlobalAveragePool', [conversion.real(value)])
        : conversion.graph.node(op, [conversion.real(value)], {
            kernel_shape: window.kernel,
            strides: window.stride,
            pads: padsOf(window, rows, columns, null),
          });
    const kind = options?.int8(5) ?? 0;
    return conversion.quantized(fusedActivation(conversion, operator, kind, result, output), output, true);
  };
}

/** Only over all rows and columns, which is what classifiers do before their last layer. */
function mean(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const [input, axes] = operator.inputs;
  const value = conversion.asPlanes(conversion.padded(conversion.value(input)));
  const wanted = axes?.data ? wholes(axes).map((axis) => (axis < 0 ? axis + value.shape.length : axis)) : [];
  if (value.shape.length !== 4 || wanted.sort().join() !== '1,2') {
    conversion.refuse(operator, `works along the axes ${wanted.join(', ') || 'that it computes'}`);
  }
  const pooled = conversion.graph.node('GlobalAveragePool', [conversion.real(value)]);
  return conversion.quantized(pooled, output, true);
}

function reshape(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const value = conversion.padded(conversion.value(operator.inputs[0]));
  const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
  if (count(value.shape) !== count(output.shape)) {
    // Where the shape is worked out for any number of pictures, the file says 1 for what it does not know.
    if (operator.inputs[1] && !operator.inputs[1].data) return value;
    conversion.refuse(operator, `makes ${output.shape.join('×')} of ${value.shape.join('×')}`);
  }
  return conversion.reshape(value, output.shape);
}

/** Zeros are only remembered, because the convolution that usually follows pads by itself. */
function pad(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const [input, amounts, filling] = operator.inputs;
  const value = conversion.asPlanes(conversion.padded(conversion.value(input)));
  const pads = amounts?.data ? wholes(amounts) : [];
  const [batch0, batch1, top, bottom, left, right, channel0, channel1] = pads as number[];
  if (pads.length !== 8 || batch0 || batch1 || channel0 || channel1 || pads.some((n) => n < 0 || n > 1024)) {
    conversion.refuse(operator, `pads by ${pads.join(', ') || 'what it computes'}`);
  }
  if (!value.whole) conversion.refuse(operator, 'pads real numbers');
  const { zeroPoint } = value.whole.quantization;
  const fill = operator.name === 'PADV2' ? fillingOf(conversion, operator, filling) : zeroPoint;
  const padding = { top: top!, left: left!, bottom: bottom!, right: right!, fill };
  const pending = { ...value, shape: output.shape, padding };
  return fill === zeroPoint ? pending : conversion.padded(pending);
}

/** The whole number that PADV2 puts around its input, as uint8; it counts in the steps of the input. */
function fillingOf(
  conversion: Conversion,
  operator: TfliteOperator,
  tensor: TfliteTensor | null | undefined,
): number {
  if (tensor?.data?.length !== 1) conversion.refuse(operator, 'pads by a number that it computes');
  return (tensor.data[0]! + (tensor.type === 'int8' ? 128 : 0)) & 255;
}

function relu(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const value = conversion.padded(conversion.value(operator.inputs[0]));
  const clamped = clamp(conversion, conversion.real(value), ALONE[operator.name]!, activation(output));
  return conversion.quantized(clamped, output, value.planes);
}

/** The last step: its result stays real, which is finer than the 256 steps of the file. */
function softmax(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const { graph } = conversion;
  const length = output.shape.at(-1) ?? 1;
  let real = conversion.real(conversion.asVector(conversion.value(operator.inputs[0]), length));
  const beta = operator.options?.float32(0) ?? 1;
  if (beta !== 1) real = graph.node('Mul', [real, graph.constant('beta', Float32Array.of(beta))]);
  return { ...makeValue([1, length], null, false), real: graph.node('Softmax', [real], { axis: -1 }) };
}

function requantize(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const [input] = operator.inputs;
  const value = conversion.padded(conversion.value(input));
  const wanted = activation(output);
  // Scores that were kept finer than the whole numbers of the file stay so.
  if (!value.whole && input && activation(input)) return value;
  const has = value.whole?.quantization;
  if (has && wanted && has.scale === wanted.scale && has.zeroPoint === wanted.zeroPoint) return value;
  return conversion.quantized(conversion.real(value), output, value.planes);
}

/** The elements of a constant of int32 or int64; none for any other. */
function wholes({ data, type }: TfliteTensor): number[] {
  if (!data || (type !== 'int32' && type !== 'int64')) return [];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return type === 'int32'
    ? Array.from({ length: data.length >> 2 }, (_, index) => view.getInt32(index * 4, true))
    : Array.from({ length: data.length >> 3 }, (_, index) => Number(view.getBigInt64(index * 8, true)));
}
