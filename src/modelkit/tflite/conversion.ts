/** The graph under construction and the values that are in it so far. */
import { LookoutError } from '../../errors.ts';
import { GraphBuilder, type Quantization } from '../../model/onnx-graph.ts';
import type { Copies } from './copy-operators.ts';
import { elements, permuted } from './elements.ts';
import { shortName, type TfliteOperator, type TfliteTensor } from './read-tflite.ts';

/** A value of the graph under construction. */
export interface Value {
  /** Shape as in the TensorFlow Lite file, without copies: mostly batch, rows, columns, channels. */
  shape: readonly number[];
  /**
   * How the numbers lie: for each axis in memory the axis of `shape` that it holds, or ONE. Axes of size 1 may be
   * missing, so that a reshape that only adds or drops such axes costs nothing; nor does a transpose.
   */
  axes: readonly number[];
  /** Whole numbers, uint8, or null. */
  whole: { name: string; quantization: Quantization } | null;
  /** Real numbers, or null. */
  real: string | null;
  /** Rows and columns of zeros that are still to be put around it; `fill` is the whole number in them. */
  padding: { top: number; left: number; bottom: number; right: number; fill: number } | null;
}

/** The least and the greatest number that an activation leaves. */
export type Bounds = readonly [low: number, high: number];

/** Where the numbers of a value lie, apart from the numbers. */
export type Layout = Pick<Value, 'shape' | 'axes'>;

/** An axis in memory that holds no axis of the value: its size is 1. */
const ONE = -1;
/** Rows and columns of one channel after the other, 1×C×H×W: what convolutions want. */
export const PLANES = [0, 3, 1, 2];

export class Conversion {
  readonly graph = new GraphBuilder('imported');
  /** Whether the real numbers shall mean what they say, without help for the rounding of whole ones. */
  readonly plain: boolean;
  readonly #file: string;
  readonly #values = new Map<TfliteTensor, Value>();
  readonly #copies: Copies;
  readonly #scores: ReadonlySet<TfliteTensor>;

  /**
   * @param file named in errors
   * @param copies channels that values have a second time
   * @param scores values that the file only writes down in another way before it gives them out
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

  /** Whether a value is what the file answers: it may stay finer than the 256 steps of the file. */
  isScores(tensor: TfliteTensor): boolean {
    return this.#scores.has(tensor);
  }

  /** The value of a tensor that was computed, or of a constant. Nothing is pending around it. */
  value(tensor: TfliteTensor | null | undefined): Value {
    return this.padded(this.pendingValue(tensor));
  }

  /** As `value`, but zeros may still have to be put around it. */
  pendingValue(tensor: TfliteTensor | null | undefined): Value {
    const known = tensor && this.#values.get(tensor);
    if (known) return known;
    if (tensor?.data) return this.#constant(tensor, tensor.shape, naturalAxes(tensor.shape));
    throw new LookoutError(
      'MODEL_CORRUPT',
      `${this.#file}: ${tensor ? shortName(tensor.name) : 'an input'} is used before it is made`,
    );
  }

  /**
   * A value for an operator that needs several to lie alike.
   * @param rank number of dimensions; ones are added in front
   * @param axes how it shall lie: every axis once
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

  /**
   * Turns the real numbers that an operator made into the whole numbers that its output tensor has.
   * @param bounds of an activation
   */
  quantized(real: string, output: TfliteTensor, layout: Layout, bounds: Bounds | null = null): Value {
    const { graph } = this;
    const quantization = activation(output);
    if (!quantization) {
      const limits = bounds?.map((bound) => graph.constant('bound', Float32Array.of(bound)));
      return {
        ...makeValue(layout, null),
        real: limits ? graph.node('Clip', [real, ...limits], {}, this.nameOf(output)) : real,
      };
    }
    const name = graph.quantize(real, quantization, this.nameOf(output));
    return this.limited(makeValue(layout, { name, quantization }), bounds);
  }

  /** Whole numbers within the limits of an activation. */
  limited(value: Value, bounds: Bounds | null): Value {
    const { name, quantization } = value.whole!;
    const [low, high] = (bounds ?? [-Infinity, Infinity]).map((bound) => wholeNumber(bound, quantization));
    if (low === 0 && high === 255) return value;
    // As TensorFlow Lite does, after rounding: ONNX Runtime merges layers whose real numbers nothing else touches.
    const limits = [low!, high!].map((bound) => this.graph.constant('bound', Uint8Array.of(bound)));
    const clipped = this.graph.node('Clip', [name, ...limits], {}, `${name}_clip`);
    return { ...value, whole: { name: clipped, quantization } };
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

  /** The same numbers in another shape. @param axes how they lie if they have to be written anew */
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

  /** The same numbers with axis i of the new shape being axis `order[i]` of the old one. */
  transposed(value: Value, order: readonly number[]): Value {
    return {
      ...value,
      shape: order.map((axis) => value.shape[axis] ?? 1),
      axes: value.axes.map((axis) => order.indexOf(axis)),
    };
  }

  /** The value lying in the given way: every axis of its shape once. */
  arranged(value: Value, axes: readonly number[]): Value {
    if (value.axes.join() === axes.join()) return value;
    const long = (list: readonly number[]) => list.filter((axis) => axis !== ONE && value.shape[axis] !== 1);
    if (long(value.axes).join() === long(axes).join()) {
      const wanted = sizes({ shape: value.shape, axes });
      const same = sizes(value).join() === wanted.join();
      return { ...(same ? value : this.#reshaped(value, wanted)), axes };
    }
    const missing = axes.filter((axis) => !value.axes.includes(axis));
    const complete = [...missing, ...value.axes.filter((axis) => axis !== ONE)];
    const full = this.arranged(value, complete);
    return { ...this.moved(full, 'Transpose', [], { perm: axes.map((a) => complete.indexOf(a)) }), axes };
  }

  /** Puts what is pending around the value. */
  padded(value: Value): Value {
    if (!value.padding || !value.whole) return value;
    const { top, left, bottom, right, fill } = value.padding;
    const pads = this.graph.constant('pads', int64([0, 0, top, left, 0, 0, bottom, right]), [8]);
    const filling = this.graph.constant('filling', Uint8Array.of(fill));
    return { ...this.moved(value, 'Pad', [pads, filling]), padding: null };
  }

  /** The numbers, whole or real, through a node that only moves them. */
  moved(
    value: Value,
    op: string,
    more: readonly string[] = [],
    attributes: Record<string, number | string | readonly number[]> = {},
  ): Value {
    if (value.real !== null) {
      return { ...value, real: this.graph.node(op, [value.real, ...more], attributes) };
    }
    const { name, quantization } = value.whole!;
    const moved = this.graph.node(op, [name, ...more], attributes, `${name}_${op.toLowerCase()}`);
    return { ...value, whole: { name: moved, quantization } };
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
    const lying = permuted(data, shape, axes);
    const layout = { shape, axes };
    if (lying instanceof Float32Array) {
      const real = this.graph.constant(this.nameOf(tensor), lying, sizes(layout));
      return { ...makeValue(layout, null), real };
    }
    const shift = tensor.type === 'int8' ? 128 : 0;
    const whole = Uint8Array.from(lying as Int8Array | Uint8Array, (number) => number + shift);
    const name = this.graph.constant(this.nameOf(tensor), whole, sizes(layout));
    return makeValue(layout, { name, quantization: quantization! });
  }
}

export function makeValue({ shape, axes }: Layout, whole: Value['whole']): Value {
  return { shape, axes, whole, real: null, padding: null };
}

/** What the whole numbers of an activation stand for, as uint8; null for floats. */
export function activation({ type, scales, zeroPoints }: TfliteTensor): Quantization | null {
  if (type !== 'uint8' && type !== 'int8') return null;
  const shift = type === 'int8' ? 128 : 0;
  return { scale: scales[0]!, zeroPoint: (zeroPoints[0] ?? 0) + shift, type: 'uint8' };
}

/** The whole number for a real one, or the nearest that there is. */
function wholeNumber(real: number, { scale, zeroPoint }: Quantization): number {
  return Math.max(0, Math.min(255, Math.round(real / scale) + zeroPoint));
}

/** Each axis in its place. */
export function naturalAxes(shape: readonly number[]): number[] {
  return [...shape.keys()];
}

/** The shape with as many ones in front as it takes. */
export function ofRank(shape: readonly number[], rank: number): number[] {
  return [...new Array<number>(Math.max(0, rank - shape.length)).fill(1), ...shape];
}

/** How many numbers a shape has. */
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
