/** The operators of TensorFlow Lite that are no sums of products, after its reference kernels. */
import type { TfliteOperator, TfliteTensor } from '../../src/modelkit/tflite/read-tflite.ts';

/** Whole numbers of one value, channels last; real numbers for scores. */
export type Values = Int32Array | Float32Array;
/** @param part which of the outputs */
export type Kernel = (operator: TfliteOperator, inputs: Int32Array[], part: number) => Values;

export const zero = (tensor: TfliteTensor | null | undefined) => tensor?.zeroPoints[0] ?? 0;
export const scale = (tensor: TfliteTensor | null | undefined) => tensor?.scales[0] ?? 1;
export const limits = (tensor: TfliteTensor) =>
  (tensor.type === 'int8' ? [-128, 127] : [0, 255]) as [number, number];
export const within = (x: number, [low, high]: [number, number]) => (x < low ? low : Math.min(x, high));

const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
const wrap = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

/** The nearest whole number of `output` for a real one, halves away from zero. */
function nearest(real: number, output: TfliteTensor): number {
  const steps = real / scale(output);
  return within(Math.sign(steps) * Math.round(Math.abs(steps)) + zero(output), limits(output));
}

function reals(values: Int32Array, tensor: TfliteTensor | null | undefined): number[] {
  return Array.from(values, (value) => (value - zero(tensor)) * scale(tensor));
}

/** Calls `visit` with every place of a shape in order, and its number. */
function places(shape: readonly number[], visit: (at: number[], index: number) => void): void {
  const at = shape.map(() => 0);
  for (let index = 0; index < sizeOf(shape); index++) {
    visit(at, index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at[axis]!++;
      if (at[axis]! < shape[axis]!) break;
      at[axis] = 0;
    }
  }
}

const indexIn = (shape: readonly number[], at: readonly number[]) =>
  shape.reduce((index, size, axis) => index * size + at[axis]!, 0);

/** Makes the output by taking for each of its places the number at a place of the input. */
function picked(
  { inputs, outputs }: TfliteOperator,
  x: Int32Array,
  from: (at: readonly number[]) => readonly number[],
  { input = inputs[0]!, part = 0 } = {},
): Int32Array {
  const result = new Int32Array(sizeOf(outputs[part]!.shape));
  places(outputs[part]!.shape, (at, index) => {
    result[index] = x[indexIn(input.shape, from(at))]!;
  });
  return result;
}

/** Both inputs of an operator repeated to the shape of its output. */
export function spread({ inputs, outputs }: TfliteOperator, values: Int32Array[]): Int32Array[] {
  const { shape } = outputs[0]!;
  return [0, 1].map((side) => {
    const own = inputs[side]!.shape;
    const result = new Int32Array(sizeOf(shape));
    places(shape, (at, index) => {
      const place = own.map((size, axis) => (size === 1 ? 0 : at[axis + shape.length - own.length]!));
      result[index] = values[side]![indexIn(own, place)]!;
    });
    return result;
  });
}

const each =
  (formula: (x: number, operator: TfliteOperator) => number): Kernel =>
  (operator, [x]) =>
    Int32Array.from(reals(x!, operator.inputs[0]), (real) =>
      nearest(formula(real, operator), operator.outputs[0]!),
    );

const pairwise =
  (formula: (a: number, b: number) => number): Kernel =>
  (operator, inputs) => {
    const [a, b] = spread(operator, inputs).map((values, side) => reals(values, operator.inputs[side]));
    return Int32Array.from(a!, (left, index) => nearest(formula(left, b![index]!), operator.outputs[0]!));
  };

/** Formulas over all numbers along the last axis. */
const alongLast =
  (formula: (numbers: readonly number[]) => number[]): Kernel =>
  (operator, [x]) => {
    const length = operator.inputs[0]!.shape.at(-1)!;
    const numbers = reals(x!, operator.inputs[0]);
    const rows = Array.from({ length: numbers.length / length }, (_, row) =>
      formula(numbers.slice(row * length, (row + 1) * length)),
    );
    return Int32Array.from(rows.flat(), (real) => nearest(real, operator.outputs[0]!));
  };

const reduce =
  (combine: (numbers: readonly number[]) => number): Kernel =>
  ({ inputs, outputs }, [x, along]) => {
    const { shape } = inputs[0]!;
    const axes = new Set(Array.from(along!, (axis) => wrap(axis, shape.length)));
    const kept = shape.map((size, axis) => (axes.has(axis) ? 1 : size));
    const groups: number[][] = Array.from({ length: sizeOf(kept) }, () => []);
    const numbers = reals(x!, inputs[0]);
    places(shape, (at, index) => {
      const place = at.map((position, axis) => (axes.has(axis) ? 0 : position));
      groups[indexIn(kept, place)]!.push(numbers[index]!);
    });
    return Int32Array.from(groups, (group) => nearest(combine(group), outputs[0]!));
  };

/** Inputs behind each other along an axis, each brought to the scale of the output. */
function joined(
  { inputs, outputs: [output] }: TfliteOperator,
  values: Int32Array[],
  axis: number,
  shapes: readonly (readonly number[])[],
): Int32Array {
  const result = new Int32Array(sizeOf(output!.shape));
  places(output!.shape, (at, index) => {
    let [part, place] = [0, at[axis]!];
    while (place >= shapes[part]![axis]!) place -= shapes[part++]![axis]!;
    const value = values[part]![indexIn(shapes[part]!, at.with(axis, place))]!;
    const tensor = inputs[part]!;
    const same = scale(tensor) === scale(output) && zero(tensor) === zero(output);
    result[index] = same ? value : nearest((value - zero(tensor)) * scale(tensor), output!);
  });
  return result;
}

function split(
  operator: TfliteOperator,
  x: Int32Array,
  axis: number,
  part: number,
  input: TfliteTensor,
): Int32Array {
  const start = operator.outputs.slice(0, part).reduce((sum, { shape }) => sum + shape[axis]!, 0);
  return picked(operator, x, (at) => at.with(axis, at[axis]! + start), { input, part });
}

const normal = (x: number) => 0.5 * (1 + erf(x / Math.SQRT2));

/** Abramowitz and Stegun 7.1.26 is off by 1.5e-7 at most. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429].reduceRight(
    (value, factor) => (value + factor) * t,
    0,
  );
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

export const FURTHER_KERNELS: Record<string, Kernel> = {
  LEAKY_RELU: each((x, { options }) => (x < 0 ? x * options!.float32(0) : x)),
  HARD_SWISH: each((x) => (x * Math.max(0, Math.min(6, x + 3))) / 6),
  GELU: each((x, { options }) =>
    options!.int8(0)
      ? 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
      : x * normal(x),
  ),
  LOGISTIC: each((x) => 1 / (1 + Math.exp(-x))),
  TANH: each(Math.tanh),
  ELU: each((x) => (x < 0 ? Math.expm1(x) : x)),
  ABS: each(Math.abs),
  NEG: each((x) => -x),
  EXP: each(Math.exp),
  SQRT: each(Math.sqrt),
  SQUARE: each((x) => x * x),
  RSQRT: each((x) => 1 / Math.sqrt(x)),
  PRELU: pairwise((x, slope) => (x < 0 ? x * slope : x)),
  DIV: pairwise((a, b) => a / b),
  MAXIMUM: pairwise(Math.max),
  MINIMUM: pairwise(Math.min),
  SQUARED_DIFFERENCE: pairwise((a, b) => (a - b) ** 2),
  L2_NORMALIZATION: alongLast((numbers) => {
    const length = Math.sqrt(sum(numbers.map((x) => x * x)));
    return numbers.map((x) => x / length);
  }),
  LOG_SOFTMAX: alongLast((numbers) => {
    const total = Math.log(sum(numbers.map(Math.exp)));
    return numbers.map((x) => x - total);
  }),
  MEAN: reduce((numbers) => sum(numbers) / numbers.length),
  SUM: reduce(sum),
  REDUCE_MAX: reduce((numbers) => Math.max(...numbers)),
  EXPAND_DIMS: (_, [x]) => x!,
  TRANSPOSE: (operator, [x, order]) =>
    picked(operator, x!, (at) => at.map((_, axis) => at[order!.indexOf(axis)]!)),
  CONCATENATION: (operator, values) => {
    const { inputs, outputs, options } = operator;
    const axis = wrap(options!.int32(0), outputs[0]!.shape.length);
    return joined(
      operator,
      values,
      axis,
      inputs.map((tensor) => tensor!.shape),
    );
  },
  PACK: (operator, values) => {
    const axis = wrap(operator.options!.int32(1), operator.outputs[0]!.shape.length);
    return joined(
      operator,
      values,
      axis,
      operator.inputs.map((tensor) => tensor!.shape.toSpliced(axis, 0, 1)),
    );
  },
  UNPACK: (operator, [x], part) => {
    const axis = wrap(operator.options!.int32(1), operator.inputs[0]!.shape.length);
    return picked(operator, x!, (at) => at.toSpliced(axis, 0, part), { part });
  },
  SPLIT: (operator, [along, x], part) => {
    const input = operator.inputs[1]!;
    return split(operator, x!, wrap(along![0]!, input.shape.length), part, input);
  },
  SPLIT_V: (operator, [x, , along], part) => {
    const input = operator.inputs[0]!;
    return split(operator, x!, wrap(along![0]!, input.shape.length), part, input);
  },
  SLICE: (operator, [x, begin]) =>
    picked(operator, x!, (at) => at.map((place, axis) => place + begin![axis]!)),
  STRIDED_SLICE: (operator, [x, begin, , step]) => {
    const { shape } = operator.inputs[0]!;
    const mask = (field: number, axis: number) => ((operator.options!.int32(field) >> axis) & 1) === 1;
    return picked(operator, x!, (at) => {
      const rest = [...at];
      return shape.map((size, axis) => {
        const first = mask(0, axis) ? (step![axis]! > 0 ? 0 : size - 1) : wrap(begin![axis]!, size);
        return mask(4, axis) ? wrap(begin![axis]!, size) : first + rest[indexOfKept(axis)]! * step![axis]!;
      });
      function indexOfKept(axis: number): number {
        return [...shape.keys()].filter((other) => other < axis && !mask(4, other)).length;
      }
    });
  },
  REVERSE_V2: (operator, [x, along]) => {
    const { shape } = operator.inputs[0]!;
    const turned = new Set(Array.from(along!, (axis) => wrap(axis, shape.length)));
    return picked(operator, x!, (at) =>
      at.map((place, axis) => (turned.has(axis) ? shape[axis]! - 1 - place : place)),
    );
  },
  GATHER: (operator, [x, indices]) => {
    const axis = wrap(operator.options!.int32(0), operator.inputs[0]!.shape.length);
    return picked(operator, x!, (at) =>
      operator.inputs[1]!.shape.length === 0
        ? at.toSpliced(axis, 0, indices![0]!)
        : at.with(axis, indices![at[axis]!]!),
    );
  },
  SPACE_TO_DEPTH: (operator, [x]) => {
    const block = operator.options!.int32(0);
    const channels = operator.inputs[0]!.shape[3]!;
    return picked(operator, x!, ([, row, column, depth]) => {
      const inside = Math.floor(depth! / channels);
      return [
        0,
        row! * block + Math.floor(inside / block),
        column! * block + (inside % block),
        depth! % channels,
      ];
    });
  },
  PAD: pad,
  PADV2: pad,
  BATCH_MATMUL: ({ inputs, outputs: [output], options }, [a, b]) => {
    const [left, right] = inputs as [TfliteTensor, TfliteTensor];
    const inner = left.shape.at(options!.int8(0) ? -2 : -1)!;
    const result = new Int32Array(sizeOf(output!.shape));
    const value = (values: Int32Array, tensor: TfliteTensor, at: number[], turned: boolean) => {
      const place = turned ? [...at.slice(0, -2), at.at(-1)!, at.at(-2)!] : at;
      return values[indexIn(tensor.shape, place.slice(-tensor.shape.length))]! - zero(tensor);
    };
    places(output!.shape, (at, index) => {
      const [row, column] = at.slice(-2) as [number, number];
      const before = at.slice(0, -2);
      let total = 0;
      for (let i = 0; i < inner; i++) {
        total +=
          value(a!, left, [...before, row, i], options!.int8(0) !== 0) *
          value(b!, right, [...before, i, column], options!.int8(1) !== 0);
      }
      result[index] = nearest(total * scale(left) * scale(right), output!);
    });
    return result;
  },
};

function pad(operator: TfliteOperator, [x, amounts, filling]: Int32Array[]): Int32Array {
  const { inputs, outputs } = operator;
  const { shape } = inputs[0]!;
  const result = new Int32Array(sizeOf(outputs[0]!.shape)).fill(filling?.[0] ?? zero(outputs[0]));
  places(shape, (at, index) => {
    result[
      indexIn(
        outputs[0]!.shape,
        at.map((place, axis) => place + amounts![2 * axis]!),
      )
    ] = x![index]!;
  });
  return result;
}
