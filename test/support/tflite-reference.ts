/**
 * TensorFlow Lite's integer arithmetic in plain loops, after its reference kernels: gemmlowp's fixed-point
 * multiplication, channels last, nothing shared with the conversion that it is held against.
 */
import type { TfliteModel, TfliteOperator, TfliteTensor } from '../../src/modelkit/tflite/read-tflite.ts';
import {
  FURTHER_KERNELS,
  type Kernel,
  limits,
  scale,
  spread,
  type Values,
  within,
  zero,
} from './tflite-kernels.ts';

/**
 * TensorFlow Lite rounds sums in one of two ways, depending on how it was built: `double` rounds the high half of
 * the product and then the shift, `single` (TFLITE_SINGLE_ROUNDING) only once. They differ by one step now and
 * then, which adds up over fifty layers: on the photos here the two differ by up to 0.09 in a probability.
 */
export type Rounding = 'double' | 'single';
let rounding: Rounding = 'double';

/** Computes all values of a model from its input. */
export function evaluate(model: TfliteModel, input: Int32Array, how: Rounding): Map<TfliteTensor, Values> {
  const values = new Map<TfliteTensor, Values>([[model.inputs[0]!, input]]);
  for (const operator of model.operators) {
    const inputs = operator.inputs.map((tensor) =>
      tensor ? (values.get(tensor) ?? constant(tensor)) : null,
    );
    for (const [part, output] of operator.outputs.entries()) {
      values.set(output, evaluateOperator(operator, inputs, how, part));
    }
  }
  return values;
}

/**
 * Computes one output of an operator from its inputs (constants included, null for left-out ones).
 * @param part which output
 */
export function evaluateOperator(
  operator: TfliteOperator,
  inputs: (Values | null)[],
  how: Rounding,
  part = 0,
): Values {
  rounding = how;
  const kernel = KERNELS[operator.name] ?? FURTHER_KERNELS[operator.name];
  if (!kernel) throw new Error(`no reference for ${operator.name}`);
  return kernel(operator, inputs as Int32Array[], part);
}

/** A constant's elements. */
export function constant(tensor: TfliteTensor): Int32Array {
  const { data, type } = tensor;
  if (!data) throw new Error(`${tensor.name} is no constant`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const size = { int64: 8, int32: 4 }[type as string] ?? 1;
  return Int32Array.from({ length: data.length / size }, (_, i) => {
    if (type === 'int64') return Number(view.getBigInt64(i * 8, true));
    if (type === 'int32') return view.getInt32(i * 4, true);
    return type === 'int8' ? view.getInt8(i) : view.getUint8(i);
  });
}

const KERNELS: Record<string, Kernel> = {
  CONV_2D: conv,
  DEPTHWISE_CONV_2D: depthwise,
  FULLY_CONNECTED: fullyConnected,
  ADD: (operator, inputs) => add(operator, spread(operator, inputs)),
  SUB: (operator, inputs) => add(operator, spread(operator, inputs), -1),
  MUL: (operator, inputs) => multiply(operator, spread(operator, inputs)),
  AVERAGE_POOL_2D: averagePool,
  MAX_POOL_2D: maxPool,
  RESHAPE: (_, [x]) => x!,
  SQUEEZE: (_, [x]) => x!,
  QUANTIZE: requantize,
  SHAPE: ({ inputs: [tensor] }) => Int32Array.from(tensor!.shape),
  RELU: requantize,
  RELU6: requantize,
  RELU_0_TO_1: requantize,
  RELU_N1_TO_1: requantize,
  SOFTMAX: softmax,
  DEQUANTIZE: ({ inputs: [tensor] }, [x]) =>
    Float32Array.from(x!, (value) => (value - zero(tensor)) * scale(tensor)),
};

/** Fixed-point multiplier and shift for a positive real number: real = multiplier / 2^31 × 2^shift. */
function quantizeMultiplier(real: number): [multiplier: number, shift: number] {
  let shift = Math.floor(Math.log2(real)) + 1;
  let multiplier = Math.round((real / 2 ** shift) * 2 ** 31);
  if (multiplier === 2 ** 31) {
    multiplier /= 2;
    shift++;
  }
  return [multiplier, shift];
}

/** MultiplyByQuantizedMultiplier: x × multiplier / 2^31 × 2^shift, rounded. */
function multiplyFixed(x: number, multiplier: number, shift: number): number {
  if (rounding === 'single') return shifted(x, multiplier, 31 - shift, 2 ** (30 - shift));
  // A saturating rounding doubling high multiplication, halves away from zero, then a rounding shift.
  const size = Math.abs(shift > 0 ? x * 2 ** shift : x);
  const high = shifted(size, multiplier, 31, x >= 0 ? 2 ** 30 : 2 ** 30 - 1);
  const signed = x >= 0 ? high : -high;
  return shift < 0 ? roundingShift(signed, -shift) : signed;
}

/** floor((x × y + add) / 2^bits) for products of up to 2^62, exactly; y is positive. */
function shifted(x: number, y: number, bits: number, add: number): number {
  const upper = Math.floor(x / 65536);
  const high = upper * y;
  const low = (x - upper * 65536) * y + add;
  const whole = Math.floor(high / 2 ** (bits - 16));
  const rest = high - whole * 2 ** (bits - 16);
  return whole + Math.floor((rest * 65536 + low) / 2 ** bits);
}

function roundingShift(x: number, exponent: number): number {
  const mask = 2 ** exponent - 1;
  const floor = Math.floor(x / 2 ** exponent);
  const remainder = x - floor * 2 ** exponent;
  const threshold = Math.floor(mask / 2) + (x < 0 ? 1 : 0);
  return floor + (remainder > threshold ? 1 : 0);
}

/** The lowest and highest whole number that an activation leaves of an output. */
/** RELU_0_TO_1, which only exists as an operator of its own. */
const ZERO_TO_ONE = -1;

function activationLimits(kind: number, output: TfliteTensor): [number, number] {
  const [low, high] = limits(output);
  const whole = (real: number) => zero(output) + Math.round(real / scale(output));
  if (kind === 1) return [Math.max(low, whole(0)), high];
  if (kind === 3) return [Math.max(low, whole(0)), Math.min(high, whole(6))];
  if (kind === 2) return [Math.max(low, whole(-1)), Math.min(high, whole(1))];
  if (kind === ZERO_TO_ONE) return [Math.max(low, whole(0)), Math.min(high, whole(1))];
  return [low, high];
}

/** One multiplier for each output channel. */
function channelMultipliers(
  input: TfliteTensor,
  weights: TfliteTensor,
  output: TfliteTensor,
  channels: number,
) {
  return Array.from({ length: channels }, (_, channel) => {
    const weightScale = weights.scales[weights.scales.length > 1 ? channel : 0]!;
    return quantizeMultiplier(Math.fround(scale(input) * weightScale) / scale(output));
  });
}

interface Frame {
  rows: number;
  columns: number;
  stride: [number, number];
  dilation: [number, number];
  top: number;
  left: number;
}

function frame(operator: TfliteOperator, kernel: [number, number], dilation: [number, number]): Frame {
  const options = operator.options!;
  const [, inRows, inColumns] = operator.inputs[0]!.shape as number[];
  const [, rows, columns] = operator.outputs[0]!.shape as number[];
  const stride: [number, number] = [options.int32(2), options.int32(1)];
  const before = (out: number, size: number, axis: 0 | 1) => {
    const needed = (out - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1 - size;
    return options.int8(0) === 1 ? 0 : Math.max(0, Math.floor(needed / 2));
  };
  return {
    rows: rows!,
    columns: columns!,
    stride,
    dilation,
    top: before(rows!, inRows!, 0),
    left: before(columns!, inColumns!, 1),
  };
}

/** Whole numbers less their zero point. */
function centred(values: Int32Array, tensor: TfliteTensor): Int32Array {
  const offset = zero(tensor);
  return values.map((value) => value - offset);
}

function conv(operator: TfliteOperator, [input, kernel, b]: Int32Array[]): Int32Array {
  const [source, weights] = operator.inputs as [TfliteTensor, TfliteTensor];
  const [output] = operator.outputs as [TfliteTensor];
  const options = operator.options!;
  const x = centred(input!, source);
  const w = centred(kernel!, weights);
  const [, inRows, inColumns, inChannels] = source.shape as [number, number, number, number];
  const [outChannels, kernelRows, kernelColumns, perGroup] = weights.shape as [
    number,
    number,
    number,
    number,
  ];
  const f = frame(operator, [kernelRows, kernelColumns], [options.int32(5, 1), options.int32(4, 1)]);
  const multipliers = channelMultipliers(source, weights, output, outChannels);
  const range = activationLimits(options.int8(3), output);
  const result = new Int32Array(f.rows * f.columns * outChannels);
  const groups = inChannels / perGroup;
  for (let row = 0; row < f.rows; row++) {
    for (let column = 0; column < f.columns; column++) {
      for (let out = 0; out < outChannels; out++) {
        const firstChannel = Math.floor((out * groups) / outChannels) * perGroup;
        let sum = b ? b[out]! : 0;
        for (let kr = 0; kr < kernelRows; kr++) {
          const y = row * f.stride[0] - f.top + kr * f.dilation[0];
          if (y < 0 || y >= inRows) continue;
          for (let kc = 0; kc < kernelColumns; kc++) {
            const z = column * f.stride[1] - f.left + kc * f.dilation[1];
            if (z < 0 || z >= inColumns) continue;
            const at = (y * inColumns + z) * inChannels + firstChannel;
            const weightAt = ((out * kernelRows + kr) * kernelColumns + kc) * perGroup;
            for (let c = 0; c < perGroup; c++) sum += x[at + c]! * w[weightAt + c]!;
          }
        }
        const [multiplier, shift] = multipliers[out]!;
        const value = multiplyFixed(sum, multiplier, shift) + zero(output);
        result[(row * f.columns + column) * outChannels + out] = within(value, range);
      }
    }
  }
  return result;
}

function depthwise(operator: TfliteOperator, [x, w, b]: Int32Array[]): Int32Array {
  const [input, weights] = operator.inputs as [TfliteTensor, TfliteTensor];
  const [output] = operator.outputs as [TfliteTensor];
  const options = operator.options!;
  const [, inRows, inColumns, inChannels] = input.shape as [number, number, number, number];
  const [, kernelRows, kernelColumns, outChannels] = weights.shape as [number, number, number, number];
  const f = frame(operator, [kernelRows, kernelColumns], [options.int32(6, 1), options.int32(5, 1)]);
  const multipliers = channelMultipliers(input, weights, output, outChannels);
  const range = activationLimits(options.int8(4), output);
  const result = new Int32Array(f.rows * f.columns * outChannels);
  const each = outChannels / inChannels;
  for (let row = 0; row < f.rows; row++) {
    for (let column = 0; column < f.columns; column++) {
      for (let out = 0; out < outChannels; out++) {
        let sum = b ? b[out]! : 0;
        for (let kr = 0; kr < kernelRows; kr++) {
          const y = row * f.stride[0] - f.top + kr * f.dilation[0];
          if (y < 0 || y >= inRows) continue;
          for (let kc = 0; kc < kernelColumns; kc++) {
            const z = column * f.stride[1] - f.left + kc * f.dilation[1];
            if (z < 0 || z >= inColumns) continue;
            const pixel = x![(y * inColumns + z) * inChannels + Math.floor(out / each)]! - zero(input);
            sum += pixel * (w![(kr * kernelColumns + kc) * outChannels + out]! - zero(weights));
          }
        }
        const [multiplier, shift] = multipliers[out]!;
        const value = multiplyFixed(sum, multiplier, shift) + zero(output);
        result[(row * f.columns + column) * outChannels + out] = within(value, range);
      }
    }
  }
  return result;
}

function fullyConnected(operator: TfliteOperator, [x, w, b]: Int32Array[]): Int32Array {
  const [input, weights] = operator.inputs as [TfliteTensor, TfliteTensor];
  const [output] = operator.outputs as [TfliteTensor];
  const [to, from] = weights.shape as [number, number];
  const multipliers = channelMultipliers(input, weights, output, to);
  const range = activationLimits(operator.options?.int8(0) ?? 0, output);
  return Int32Array.from({ length: (to * x!.length) / from }, (_, index) => {
    const [row, out] = [Math.floor(index / to), index % to];
    let sum = b ? b[out]! : 0;
    for (let i = 0; i < from; i++) {
      sum += (x![row * from + i]! - zero(input)) * (w![out * from + i]! - zero(weights));
    }
    const [multiplier, shift] = multipliers[out]!;
    return within(multiplyFixed(sum, multiplier, shift) + zero(output), range);
  });
}

/** Both sides are brought to a common scale with 20 bits to spare. */
function add(operator: TfliteOperator, [a, b]: Int32Array[], sign = 1): Int32Array {
  const [first, second] = operator.inputs as [TfliteTensor, TfliteTensor];
  const [output] = operator.outputs as [TfliteTensor];
  const twice = 2 * Math.max(scale(first), scale(second));
  const [m1, s1] = quantizeMultiplier(scale(first) / twice);
  const [m2, s2] = quantizeMultiplier(scale(second) / twice);
  const [m, s] = quantizeMultiplier(twice / (2 ** 20 * scale(output)));
  const range = activationLimits(operator.options?.int8(0) ?? 0, output);
  return a!.map((value, i) => {
    const x = multiplyFixed((value - zero(first)) * 2 ** 20, m1, s1);
    const y = sign * multiplyFixed((b![i]! - zero(second)) * 2 ** 20, m2, s2);
    return within(multiplyFixed(x + y, m, s) + zero(output), range);
  });
}

function multiply(operator: TfliteOperator, [a, b]: Int32Array[]): Int32Array {
  const [first, second] = operator.inputs as [TfliteTensor, TfliteTensor];
  const [output] = operator.outputs as [TfliteTensor];
  const [m, s] = quantizeMultiplier((scale(first) * scale(second)) / scale(output));
  const range = activationLimits(operator.options?.int8(0) ?? 0, output);
  return a!.map((value, i) => {
    const product = (value - zero(first)) * (b![i]! - zero(second));
    return within(multiplyFixed(product, m, s) + zero(output), range);
  });
}

function pooled(operator: TfliteOperator, x: Int32Array, combine: (values: number[]) => number): Int32Array {
  const [output] = operator.outputs as [TfliteTensor];
  const options = operator.options!;
  const [, inRows, inColumns, channels] = operator.inputs[0]!.shape as [number, number, number, number];
  const kernel: [number, number] = [options.int32(4), options.int32(3)];
  const f = frame(operator, kernel, [1, 1]);
  const range = activationLimits(options.int8(5), output);
  return Int32Array.from({ length: f.rows * f.columns * channels }, (_, index) => {
    const channel = index % channels;
    const column = Math.floor(index / channels) % f.columns;
    const row = Math.floor(index / channels / f.columns);
    const values: number[] = [];
    for (let kr = 0; kr < kernel[0]; kr++) {
      for (let kc = 0; kc < kernel[1]; kc++) {
        const y = row * f.stride[0] - f.top + kr;
        const z = column * f.stride[1] - f.left + kc;
        if (y < 0 || y >= inRows || z < 0 || z >= inColumns) continue;
        values.push(x[(y * inColumns + z) * channels + channel]!);
      }
    }
    return within(combine(values), range);
  });
}

function averagePool(operator: TfliteOperator, [x]: Int32Array[]): Int32Array {
  return pooled(operator, x!, (values) => {
    const sum = values.reduce((a, b) => a + b, 0);
    return Math.trunc((sum + Math.sign(sum) * Math.floor(values.length / 2)) / values.length);
  });
}

function maxPool(operator: TfliteOperator, [x]: Int32Array[]): Int32Array {
  return pooled(operator, x!, (values) => Math.max(...values));
}

function requantize(operator: TfliteOperator, [x]: Int32Array[]): Int32Array {
  const [input] = operator.inputs as [TfliteTensor];
  const [output] = operator.outputs as [TfliteTensor];
  const [m, s] = quantizeMultiplier(scale(input) / scale(output));
  const kind = { RELU: 1, RELU_N1_TO_1: 2, RELU6: 3, RELU_0_TO_1: ZERO_TO_ONE }[operator.name] ?? 0;
  const range = activationLimits(kind, output);
  return x!.map((value) => within(multiplyFixed(value - zero(input), m, s) + zero(output), range));
}

function softmax(operator: TfliteOperator, [x]: Int32Array[]): Float32Array {
  const [input] = operator.inputs as [TfliteTensor];
  const beta = operator.options?.float32(0) ?? 1;
  const top = Math.max(...x!);
  const powers = Float64Array.from(x!, (value) => Math.exp((value - top) * scale(input) * beta));
  const sum = powers.reduce((a, b) => a + b);
  return Float32Array.from(powers, (power) => power / sum);
}
