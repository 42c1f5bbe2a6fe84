/** The graph under construction and the values that are in it so far. */
import { LookoutError } from '../../errors.ts';
import { GraphBuilder, type Quantization } from '../graph.ts';
import { shortName } from './check.ts';
import type { Copies } from './copies.ts';
import type { TfliteOperator, TfliteTensor } from './read.ts';

/** A value of the graph under construction. */
export interface Value {
  /** Shape as in the TensorFlow Lite file, without copies: batch, rows, columns, channels. */
  shape: readonly number[];
  /** Whole numbers, uint8, or null. */
  whole: { name: string; quantization: Quantization } | null;
  /** Real numbers, or null. */
  real: string | null;
  /** Whether it lies as planes, 1×C×H×W, instead of as `shape`. */
  planes: boolean;
  /** Rows and columns of zeros that are still to be put around it; `fill` is the whole number in them. */
  padding: { top: number; left: number; bottom: number; right: number; fill: number } | null;
}

export class Conversion {
  readonly graph = new GraphBuilder('imported');
  readonly #file: string;
  readonly #values = new Map<TfliteTensor, Value>();

  readonly #copies: Copies;

  /**
   * @param file named in errors
   * @param copies channels that values have a second time
   */
  constructor(file: string, copies: Copies) {
    this.#file = file;
    this.#copies = copies;
  }

  copiesOf(tensor: TfliteTensor | null | undefined): readonly number[] {
    return (tensor && this.#copies.get(tensor)) ?? [];
  }

  /** The value of a tensor that was computed, or of a constant. */
  value(tensor: TfliteTensor | null | undefined): Value {
    const known = tensor && this.#values.get(tensor);
    if (known) return known;
    throw new LookoutError(
      'MODEL_CORRUPT',
      `${this.#file}: ${tensor ? shortName(tensor.name) : 'an input'} is used before it is made`,
    );
  }

  set(tensor: TfliteTensor, value: Value): void {
    this.#values.set(tensor, value);
  }

  has(tensor: TfliteTensor): boolean {
    return this.#values.has(tensor);
  }

  /** A name for what belongs to a tensor. */
  nameOf(tensor: TfliteTensor): string {
    return shortName(tensor.name);
  }

  /** @throws LookoutError MODEL_OPERATOR_UNSUPPORTED */
  refuse(operator: TfliteOperator, reason: string): never {
    const made = operator.outputs[0] ? this.nameOf(operator.outputs[0]) : 'nothing';
    throw new LookoutError(
      'MODEL_OPERATOR_UNSUPPORTED',
      `${this.#file}: ${operator.name} (makes ${made}) ${reason}, which cannot be converted`,
    );
  }

  /** Real numbers of a value; each user gets its own DequantizeLinear, which is what ONNX Runtime fuses best. */
  real(value: Value): string {
    if (value.real !== null) return value.real;
    const { name, quantization } = value.whole!;
    return this.graph.dequantize(name, quantization);
  }

  /** Turns the real numbers that an operator made into the whole numbers that its output tensor has. */
  quantized(real: string, output: TfliteTensor, planes: boolean): Value {
    const quantization = activation(output);
    if (!quantization) return { ...makeValue(output.shape, null, planes), real };
    const name = this.graph.quantize(real, quantization, this.nameOf(output));
    return makeValue(output.shape, { name, quantization }, planes);
  }

  /** The value as planes, 1×C×H×W; a vector counts as one pixel. */
  asPlanes(value: Value): Value {
    if (value.planes) return value;
    const size = value.shape.reduce((product, dimension) => product * dimension, 1);
    const four = value.shape.length === 4;
    const [, height = 1, width = 1, channels = size] = four ? value.shape : [1, 1, 1, size];
    if (height * width === 1) return { ...this.#reshaped(value, [1, channels, 1, 1]), planes: true };
    return { ...this.#moved(value, 'Transpose', [], { perm: [0, 3, 1, 2] }), planes: true };
  }

  /** The value as 1×`length`, in TensorFlow's order. */
  asVector(value: Value, length: number): Value {
    return { ...this.#reshaped(this.#interleaved(value), [1, length]), shape: [1, length] };
  }

  /** The same numbers in another shape. */
  reshape(value: Value, shape: readonly number[]): Value {
    const lone = shape.length === 4 && shape[1] === 1 && shape[2] === 1;
    if (value.planes && lone && value.shape[1] === 1 && value.shape[2] === 1) return { ...value, shape };
    return { ...this.#reshaped(this.#interleaved(value), shape), shape };
  }

  /** Puts what is pending around the value. */
  padded(value: Value): Value {
    if (!value.padding || !value.whole) return value;
    const { top, left, bottom, right, fill } = value.padding;
    const { name, quantization } = value.whole;
    const pads = this.graph.constant('pads', int64([0, 0, top, left, 0, 0, bottom, right]), [8]);
    const filling = this.graph.constant('filling', Uint8Array.of(fill));
    const whole = { name: this.graph.node('Pad', [name, pads, filling], {}, `${name}_padded`), quantization };
    return { ...value, whole, padding: null };
  }

  /** Channels last, as TensorFlow has them. */
  #interleaved(value: Value): Value {
    if (!value.planes) return value;
    const single = value.shape.length !== 4 || value.shape[1]! * value.shape[2]! === 1;
    if (single) return { ...value, planes: false };
    return { ...this.#moved(value, 'Transpose', [], { perm: [0, 2, 3, 1] }), planes: false };
  }

  #reshaped(value: Value, shape: readonly number[]): Value {
    return this.#moved(value, 'Reshape', [this.graph.constant('shape', int64(shape), [shape.length])], {});
  }

  #moved(value: Value, op: string, more: string[], attributes: Record<string, readonly number[]>): Value {
    if (value.real !== null) {
      return { ...value, real: this.graph.node(op, [value.real, ...more], attributes) };
    }
    const { name, quantization } = value.whole!;
    const moved = this.graph.node(op, [name, ...more], attributes, `${name}_${op.toLowerCase()}`);
    return { ...value, whole: { name: moved, quantization } };
  }
}

export function makeValue(shape: readonly number[], whole: Value['whole'], planes: boolean): Value {
  return { shape, whole, real: null, planes, padding: null };
}

/** What the whole numbers of an activation stand for, as uint8; null for floats. */
export function activation({ type, scales, zeroPoints }: TfliteTensor): Quantization | null {
  if (type !== 'uint8' && type !== 'int8') return null;
  const shift = type === 'int8' ? 128 : 0;
  return { scale: scales[0]!, zeroPoint: (zeroPoints[0] ?? 0) + shift, type: 'uint8' };
}

export function int64(values: readonly number[]): BigInt64Array {
  return BigInt64Array.from(values, BigInt);
}
