/** Operators on two values, whose shapes may differ: TensorFlow broadcasts axes of size 1. */
import { activation, type Conversion, type Layout, naturalAxes, PLANES, type Value } from './conversion.ts';
import { elements } from './elements.ts';
import type { Layer } from './layer-operators.ts';
import type { TfliteOperator, TfliteTensor } from './read-tflite.ts';
import { scalesOfTerms, type Term } from './sums.ts';
import { fusedBounds } from './window.ts';

export const arithmetic: Record<string, Layer> = {
  ADD: pairwise('Add'),
  SUB: pairwise('Sub'),
  MUL: pairwise('Mul'),
  DIV: pairwise('Div'),
  MAXIMUM: pairwise('Max'),
  MINIMUM: pairwise('Min'),
  SQUARED_DIFFERENCE: (conversion, operator, output) => {
    const { operands, layout } = aligned(conversion, operator);
    const floats = operands.map((operand) => conversion.float(operand));
    const difference = conversion.graph.node('Sub', floats);
    return conversion.quantized(conversion.graph.node('Mul', [difference, difference]), output, layout);
  },
  BATCH_MATMUL: product,
};

/** Operators whose options begin with a fused activation. */
const FUSING = new Set(['ADD', 'SUB', 'MUL', 'DIV']);

function pairwise(op: string): Layer {
  return (conversion, operator, output) => {
    const { operands, layout } = aligned(conversion, operator);
    const result = conversion.graph.node(
      op,
      terms(conversion, operator, operands).map((operand) => conversion.float(operand)),
    );
    const kind = FUSING.has(operator.name) ? (operator.options?.int8(0) ?? 0) : 0;
    return conversion.quantized(result, output, layout, fusedBounds(conversion, operator, kind));
  };
}

/** The terms of a sum, with scales that make it round as in TensorFlow Lite (see sums.ts). */
function terms(
  conversion: Conversion,
  operator: TfliteOperator,
  operands: readonly Value[],
): readonly Value[] {
  const { name, inputs, outputs } = operator;
  const signs = { ADD: [1, 1], SUB: [1, -1] }[name];
  const step = outputs[0] && activation(outputs[0])?.scale;
  if (conversion.plain || !signs || !step || operands.some(({ int }) => !int)) return operands;
  const made = operands.map(({ int }, side): Term => {
    const { scale, zeroPoint } = int!.quantization;
    return { scale, steps: bytesOf(inputs[side]!).map((byte) => signs[side]! * (byte - zeroPoint)) };
  });
  const scales = scalesOfTerms(made as [Term, Term], step);
  return operands.map((operand, side) => {
    const quantization = { ...operand.int!.quantization, scale: scales[side]! };
    return { ...operand, int: { ...operand.int!, quantization } };
  });
}

/** The bytes that can occur in a value, as uint8. */
function bytesOf(tensor: TfliteTensor): number[] {
  const shift = tensor.type === 'int8' ? 128 : 0;
  const found = tensor.data && elements(tensor);
  if (!found) return [...Array(256).keys()];
  return [...new Set(Array.from(found as ArrayLike<number>, (element) => element + shift))];
}

/** Both operands, in the same memory layout. */
function aligned(conversion: Conversion, operator: TfliteOperator): { operands: Value[]; layout: Layout } {
  const [first, second] = operator.inputs;
  const computed = [first, second].flatMap((tensor) =>
    tensor && !tensor.data ? [conversion.value(tensor)] : [],
  );
  const shapes = [first, second].map((tensor) =>
    tensor?.data ? tensor.shape : conversion.value(tensor).shape,
  );
  const rank = Math.max(...shapes.map(({ length }) => length));
  const natural = [...Array(rank).keys()];
  const lead = computed.find(({ axes }) => axes.toSorted().join() === natural.join());
  const axes = lead?.axes ?? (rank === 4 ? PLANES : natural);
  const operands = [first, second].map((tensor) => conversion.operand(tensor, rank, axes));
  const shape = natural.map((axis) => Math.max(...operands.map((operand) => operand.shape[axis]!)));
  return { operands, layout: { shape, axes } };
}

function product(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const { options, inputs } = operator;
  const factors = [0, 1].map((index) => {
    const given = conversion.value(inputs[index]);
    const natural = naturalAxes(given.shape);
    const turned = (options?.int8(index) ?? 0) !== 0;
    const order = turned ? [...natural.slice(0, -2), natural.at(-1)!, natural.at(-2)!] : natural;
    return conversion.arranged(conversion.transposed(given, order), natural);
  });
  const [left, right] = factors as [Value, Value];
  const rank = Math.max(left.shape.length, right.shape.length);
  if (Math.min(left.shape.length, right.shape.length) < 2) conversion.refuse(operator, 'multiplies vectors');
  const shape = [...new Array<number>(rank).keys()].map((axis) => {
    if (axis === rank - 1) return right.shape.at(-1)!;
    const side = (value: Value) => value.shape.at(axis - rank) ?? 1;
    return axis === rank - 2 ? side(left) : Math.max(side(left), side(right));
  });
  const float = conversion.graph.node(
    'MatMul',
    factors.map((factor) => conversion.float(factor)),
  );
  return conversion.quantized(float, output, { shape, axes: naturalAxes(shape) });
}
