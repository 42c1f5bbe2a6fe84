/** CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED as ONNX convolutions. */
import type { Conversion, Value } from './conversion.ts';
import type { TfliteOperator, TfliteTensor } from './read.ts';
import { checkWindow, fusedActivation, padsOf, VALID, type Window } from './window.ts';

/** Weights and how they are turned: TensorFlow Lite has them as rows, columns and channels, ONNX as planes. */
interface Kernel {
  tensor: TfliteTensor;
  /** Output channels, channels of each group, rows, columns. */
  dims: [number, number, number, number];
  /** Index in the file of the weight at (output channel, channel of the group, row, column). */
  indexOf: (out: number, channel: number, row: number, column: number) => number;
}

export function convolution(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const { options } = operator;
  const depthwise = operator.name === 'DEPTHWISE_CONV_2D';
  const input = conversion.value(operator.inputs[0]);
  const weights = constantOf(conversion, operator, operator.inputs[1]);
  const [outer, rows, columns, inner] = weights.shape as [number, number, number, number];
  const channels = input.shape.at(-1) ?? 0;
  const kernel: Kernel = depthwise
    ? {
        tensor: weights,
        dims: [inner, 1, rows, columns],
        indexOf: (out, _channel, row, column) => (row * columns + column) * inner + out,
      }
    : {
        tensor: weights,
        dims: [outer, inner, rows, columns],
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
  checkWindow(conversion, operator, window);
  const ready = window.valid ? input : conversion.padded(input);
  const planes = conversion.asPlanes(ready);
  const pads = padsOf(window, ready.shape[1] ?? 0, ready.shape[2] ?? 0, ready.padding);
  const attributes = {
    group,
    kernel_shape: window.kernel,
    strides: window.stride,
    dilations: window.dilation,
    pads,
  };
  const kind = options?.int8(depthwise ? 4 : 3) ?? 0;
  return weighted(conversion, operator, output, planes, kernel, attributes, kind);
}

/** A matrix product is a convolution over a single pixel. */
export function fullyConnected(
  conversion: Conversion,
  operator: TfliteOperator,
  output: TfliteTensor,
): Value {
  const weights = constantOf(conversion, operator, operator.inputs[1]);
  const [to, from] = weights.shape as [number, number];
  const input = conversion.padded(conversion.value(operator.inputs[0]));
  const size = input.shape.reduce((product, dimension) => product * dimension, 1);
  if (weights.shape.length !== 2 || size !== from) {
    conversion.refuse(operator, `has weights of ${weights.shape.join('×')} for ${size} numbers`);
  }
  const planes = conversion.asPlanes(lonePixel(input) ? input : conversion.asVector(input, size));
  const kernel: Kernel = {
    tensor: weights,
    dims: [to, from, 1, 1],
    indexOf: (out, channel) => out * from + channel,
  };
  const kind = operator.options?.int8(0) ?? 0;
  return weighted(conversion, operator, output, planes, kernel, { group: 1, kernel_shape: [1, 1] }, kind);
}

function weighted(
  conversion: Conversion,
  operator: TfliteOperator,
  output: TfliteTensor,
  input: Value,
  kernel: Kernel,
  attributes: Record<string, number | number[]>,
  activationKind: number,
): Value {
  const { graph } = conversion;
  const { tensor, dims } = kernel;
  const [to] = dims;
  const name = conversion.nameOf(output);
  const scales = Float32Array.from(tensor.scales);
  const shift = tensor.type === 'uint8' ? 128 : 0;
  const zeroPoint = (tensor.zeroPoints[0] ?? 0) - shift;
  const inputs = [
    conversion.real(input),
    graph.dequantizedConstant(`${name}_weights`, turned(kernel), dims, scales, { zeroPoint }),
  ];
  const bias = operator.inputs[2];
  if (bias) {
    const { data } = constantOf(conversion, operator, bias);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    if (data.length !== to * 4)
      conversion.refuse(operator, `has ${data.length / 4} biases for ${to} channels`);
    const whole = Int32Array.from({ length: to }, (_, channel) => view.getInt32(channel * 4, true));
    const inputScale = input.whole?.quantization.scale ?? 1;
    const biasScales = scales.map((scale) => Math.fround(scale * inputScale));
    inputs.push(graph.dequantizedConstant(`${name}_bias`, whole, [to], biasScales));
  }
  const result = graph.node('Conv', inputs, attributes, `${name}_real`);
  return conversion.quantized(
    fusedActivation(conversion, operator, activationKind, result, output),
    output,
    true,
  );
}

/** The weights as int8 in ONNX's order. */
function turned({ tensor, dims, indexOf }: Kernel): Int8Array {
  const [to, from, rows, columns] = dims;
  const shift = tensor.type === 'uint8' ? 128 : 0;
  const data = tensor.data!;
  const result = new Int8Array(data.length);
  let at = 0;
  for (let out = 0; out < to; out++) {
    for (let channel = 0; channel < from; channel++) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          result[at++] = data[indexOf(out, channel, row, column)]! - shift;
        }
      }
    }
  }
  return result;
}

function lonePixel({ shape }: Value): boolean {
  return shape.length === 4 && shape[1] === 1 && shape[2] === 1;
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
