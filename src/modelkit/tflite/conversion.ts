/** The graph under construction, and its values so far. */
import { LookoutError } from '../../errors.ts';
import { GraphBuilder, type Quantization } from '../../model/onnx-graph.ts';
import type { Copies } from './copy-operators.ts';
import { elements, permuted } from './elements.ts';
import { shortName, type TfliteOperator, type TfliteTensor } from './read-tflite.ts';

/** A value of the graph under construction. */
export interface Value {
  /** Shape as in the TensorFlow Lite file, without copies: usually batch, rows, columns, channels. */
  shape: readonly number[];
  /**
   * Memory layout: for each axis in memory the axis of `shape` that it holds, or ONE. Axes of size 1 may be missing, so
   * that a reshape that only adds or drops such axes costs nothing; neither does a transpose.
   */
  axes: readonly number[];
  /** The value as integers, uint8, or null. */
  int: { name: string; quantization: Quantization } | null;
  /** The value as floats, or null. */
  float: string | null;
  /** Pending zero padding; `fill` is its integer. */
  padding: { top: number; left: number; bottom: number; right: number; fill: number } | null;
}

/** The output range of an activation. */
export type Bounds = readonly [low: number, high: number];

/** Shape and memory layout of a value. */
export type Layout = Pick<Value, 'shape' | 'axes'>;

/** An axis in memory that holds no axis of the value: its size is 1. */
const ONE = -1;
/** Planes, 1×C×H×W: the layout of convolutions. */
export const PLANES = [0, 3, 1, 2];

export class Conversion {
  readonly graph = new GraphBuilder('imported');
  /** Whether floats are converted plainly, without corrections for the rounding of integers. */
  readonly plain: boolean;
  readonly #file: string;
  readonly #values = new Map<TfliteTensor, Value>();
  readonly #copies: Copies;
  readonly #scores: ReadonlySet<TfliteTensor>;

  /**
   * @param file named in errors
   * @param copies duplicated channels of values
   * @param scores the output and values that differ from it only in layout or type
   */
  constructor(
    file: string,
    { copies, scores, plain }: { copies: Copies; scores: ReadonlySet<TfliteTensor>; plain: boolean },
  ) {
    this.plain = plain;
    this.#file = file;
    this.#copies = copies;
    this.#scores = scores;
  }

  copiesOf(tensor: TfliteTensor | null | undefined): readonly number[] {
    return (tensor && this.#copies.get(tensor)) ?? [];
  }

  /** Whether a value is the file's output: it may stay finer than the 256 steps of the file. */
  isScores(tensor: TfliteTensor): boolean {
    return this.#scores.has(tensor);
  }

  /** The value of a computed tensor or a constant, without pending padding. */
  value(tensor: TfliteTensor | null | undefined): Value {
    return this.padded(this.pendingValue(tensor));
  }

  /** Like `value`, but padding may be pending. */
  pendingValue(tensor: TfliteTensor | null | undefined): Value {
    const known = tensor && this.#values.get(tensor);
    if (known) return known;
    if (tensor?.data) return this.#constant(tensor, tensor.shape, naturalAxes(tensor.shape));
    throw new LookoutError(
      'MODEL_CORRUPT',
      `${this.#file}: ${tensor ? shortName(tensor.name) : 'an input'} is used before it is computed`,
    );
  }

  /**
   * A value for an operator whose operands must have the same layout.
   * @param rank number of dimensions; ones are added in front
   * @param axes the layout: every axis once
   */
  operand(tensor: TfliteTensor | null | undefined, rank: number, axes: readonly number[]): Value {
    if (tensor?.data && !this.has(tensor)) return this.#constant(tensor, ofRank(tensor.shape, rank), axes);
    const value = this.value(tensor);
    return this.arranged(this.reshape(value, ofRank(value.shape, rank)), axes);
  }

  set(tensor: TfliteTensor, value: Value): void {
    this.#values.set(tensor, value);
  }

  has(tensor: TfliteTensor): boolean {
    return this.#values.has(tensor);
  }

  nameOf(tensor: TfliteTensor): string {
    return shortName(tensor.name);
  }

  /** @throws LookoutError MODEL_OPERATOR_UNSUPPORTED */
  refuse(operator: TfliteOperator, reason: string): never {
    const output = operator.outputs[0] ? this.nameOf(operator.outputs[0]) : 'nothing';
    throw new LookoutError(
      'MODEL_OPERATOR_UNSUPPORTED',
      `${this.#file}: cannot convert ${operator.name} (output ${output}): it ${reason}`,
    );
  }

  /** A value as floats; each user gets its own DequantizeLinear, which ONNX Runtime fuses best. */
  float(value: Value): string {
    if (value.float !== null) return value.float;
    const { name, quantization } = value.int!;
    return this.graph.dequantize(name, quantization);
  }

  /**
   * Quantises an operator's float output as its output tensor states.
   * @param bounds of an activation
   */
  quantized(float: string, output: TfliteTensor, layout: Layout, bounds: Bounds | null = null): Value {
    const { graph } = this;
    const quantization = activation(output);
    if (!quantization) {
      const limits = bounds?.map((bound) => graph.constant('bound', Float32Array.of(bound)));
      return {
        ...makeValue(layout, null),
        float: limits ? graph.node('Clip', [float, ...limits], {}, this.nameOf(output)) : float,
      };
    }
    const name = graph.quantize(float, quantization, this.nameOf(output));
    return this.limited(makeValue(layout, { name, quantization }), bounds);
  }

  /** Clips integers to the range of an activation. */
  limited(value: Value, bounds: Bounds | null): Value {
    const { name, quantization } = value.int!;
    const [low, high] = (bounds ?? [-Infinity, Infinity]).map((bound) => toInt(bound, quantization));
    if (low === 0 && high === 255) return value;
    // Clipped after rounding, as in TensorFlow Lite: ONNX Runtime fuses layers whose floats have no other user.
    const limits = [low!, high!].map((bound) => this.graph.constant('bound', Uint8Array.of(bound)));
    const clipped = this.graph.node('Clip', [name, ...limits], {}, `${name}_clip`);
    return { ...value, int: { name: clipped, quantization } };
  }

  /** The value as planes, 1×C×H×W; a vector counts as one pixel. */
  asPlanes(value: Value): Value {
    if (value.shape.length === 4) return this.arranged(value, PLANES);
    return this.reshape(value, [1, 1, 1, count(value.shape)], PLANES);
  }

  /** The value as 1×`length`, in TensorFlow's order. */
  asVector(value: Value, length: number): Value {
    const vector = this.reshape(value, [1, length], [0, 1]);
    return this.arranged(vector, [0, 1]);
  }

  /** The same numbers in another shape. @param axes their layout if they must be rewritten */
  reshape(value: Value, shape: readonly number[], axes: readonly number[] = naturalAxes(shape)): Value {
    const before = longAxes(value.shape);
    const after = longAxes(shape);
    if (before.map((axis) => value.shape[axis]).join() === after.map((axis) => shape[axis]).join()) {
      const moved = new Map(before.map((axis, index) => [axis, after[index]!]));
      return { ...value, shape, axes: value.axes.map((axis) => moved.get(axis) ?? ONE) };
    }
    const plain = this.arranged(value, naturalAxes(value.shape));
    const direct = axes.filter((axis) => shape[axis] !== 1).join() === after.join();
    const made = { shape, axes: direct ? axes : naturalAxes(shape) };
    return this.arranged({ ...this.#reshaped(plain, sizes(made)), ...made }, axes);
  }

  /** The same numbers; axis i of the new shape is axis `order[i]` of the old one. */
  transposed(value: Value, order: readonly number[]): Value {
    return {
      ...value,
      shape: order.map((axis) => value.shape[axis] ?? 1),
      axes: value.axes.map((axis) => order.indexOf(axis)),
    };
  }

  /** The value in the given layout: every axis of its shape once. */
  arranged(value: Value, axes: readonly number[]): Value {
    if (value.axes.join() === axes.join()) return value;
    const long = (list: readonly number[]) => list.filter((axis) => axis !== ONE && value.shape[axis] !== 1);
    if (long(value.axes).join() === long(axes).join()) {
      const target = sizes({ shape: value.shape, axes });
      const same = sizes(value).join() === target.join();
      return { ...(same ? value : this.#reshaped(value, target)), axes };
    }
    const missing = axes.filter((axis) => !value.axes.includes(axis));
    const complete = [...missing, ...value.axes.filter((axis) => axis !== ONE)];
    const full = this.arranged(value, complete);
    return { ...this.moved(full, 'Transpose', [], { perm: axes.map((a) => complete.indexOf(a)) }), axes };
  }

  /** Applies pending padding. */
  padded(value: Value): Value {
    if (!value.padding || !value.int) return value;
    const { top, left, bottom, right, fill } = value.padding;
    const pads = this.graph.constant('pads', int64([0, 0, top, left, 0, 0, bottom, right]), [8]);
    const filling = this.graph.constant('filling', Uint8Array.of(fill));
    return { ...this.moved(value, 'Pad', [pads, filling]), padding: null };
  }

  /** Passes the value, integers or floats, through a node that only moves numbers. */
  moved(
    value: Value,
    op: string,
    more: readonly string[] = [],
    attributes: Record<string, number | string | readonly number[]> = {},
  ): Value {
    if (value.float !== null) {
      return { ...value, float: this.graph.node(op, [value.float, ...more], attributes) };
    }
    const { name, quantization } = value.int!;
    const moved = this.graph.node(op, [name, ...more], attributes, `${name}_${op.toLowerCase()}`);
    return { ...value, int: { name: moved, quantization } };
  }

  #reshaped(value: Value, shape: readonly number[]): Value {
    return this.moved(value, 'Reshape', [this.graph.constant('shape', int64(shape), [shape.length])]);
  }

  #constant(tensor: TfliteTensor, shape: readonly number[], axes: readonly number[]): Value {
    const quantization = activation(tensor);
    const data = elements(tensor);
    if (!data || (!quantization && !(data instanceof Float32Array))) {
      throw new LookoutError(
        'MODEL_OPERATOR_UNSUPPORTED',
        `${this.#file}: the constant ${shortName(tensor.name)} of type ${tensor.type} cannot be converted`,
      );
    }
    const arranged = permuted(data, shape, axes);
    const layout = { shape, axes };
    if (arranged instanceof Float32Array) {
      const float = this.graph.constant(this.nameOf(tensor), arranged, sizes(layout));
      return { ...makeValue(layout, null), float };
    }
    const shift = tensor.type === 'int8' ? 128 : 0;
    const ints = Uint8Array.from(arranged as Int8Array | Uint8Array, (number) => number + shift);
    const name = this.graph.constant(this.nameOf(tensor), ints, sizes(layout));
    return makeValue(layout, { name, quantization: quantization! });
  }
}

export function makeValue({ shape, axes }: Layout, int: Value['int']): Value {
  return { shape, axes, int, float: null, padding: null };
}

/** Scale and zero point of a tensor, as uint8; null for floats. */
export function activation({ type, scales, zeroPoints }: TfliteTensor): Quantization | null {
  if (type !== 'uint8' && type !== 'int8') return null;
  const shift = type === 'int8' ? 128 : 0;
  return { scale: scales[0]!, zeroPoint: (zeroPoints[0] ?? 0) + shift, type: 'uint8' };
}

/** Quantises a float, clipped to uint8. */
function toInt(float: number, { scale, zeroPoint }: Quantization): number {
  return Math.max(0, Math.min(255, Math.round(float / scale) + zeroPoint));
}

/** The axes in their order. */
export function naturalAxes(shape: readonly number[]): number[] {
  return [...shape.keys()];
}

/** The shape with leading ones up to the given rank. */
export function ofRank(shape: readonly number[], rank: number): number[] {
  return [...new Array<number>(Math.max(0, rank - shape.length)).fill(1), ...shape];
}

/** Number of elements. */
export function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Sizes in memory. */
function sizes({ shape, axes }: Layout): number[] {
  return axes.map((axis) => shape[axis] ?? 1);
}

function longAxes(shape: readonly number[]): number[] {
  return naturalAxes(shape).filter((axis) => shape[axis] !== 1);
}

export function int64(values: readonly number[]): BigInt64Array {
  return BigInt64Array.from(values, BigInt);
}
