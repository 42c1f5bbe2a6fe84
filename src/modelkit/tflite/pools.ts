/** Operators that make one number of many: over a window, or along whole axes. */
import { type Conversion, int64, makeValue } from './conversion.ts';
import { wholes } from './elements.ts';
import type { Layer } from './layer-operators.ts';
import type { TfliteOperator, TfliteTensor } from './read-tflite.ts';
import { checkWindow, fusedBounds, padsOf, VALID, type Window } from './window.ts';

export const pools: Record<string, Layer> = {
  AVERAGE_POOL_2D: pool('AveragePool'),
  MAX_POOL_2D: pool('MaxPool'),
  MEAN: reduce('Mean', 'GlobalAveragePool'),
  SUM: reduce('Sum', null),
  REDUCE_MAX: reduce('Max', 'GlobalMaxPool'),
};

function pool(op: 'AveragePool' | 'MaxPool'): Layer {
  return (conversion, operator, output) => {
    const { options } = operator;
    const { graph } = conversion;
    const value = conversion.asPlanes(conversion.value(operator.inputs[0]));
    const window: Window = {
      kernel: [options?.int32(4) ?? 0, options?.int32(3) ?? 0],
      stride: [options?.int32(2) ?? 0, options?.int32(1) ?? 0],
      dilation: [1, 1],
      valid: options?.int8(0) === VALID,
    };
    const [, rows = 0, columns = 0] = value.shape;
    const layout = checkWindow(conversion, operator, window);
    const everywhere = window.kernel[0] === rows && window.kernel[1] === columns && window.valid;
    const windows = { kernel_shape: window.kernel, strides: window.stride };
    const pooled = (real: string) =>
      op === 'AveragePool' && everywhere
        ? graph.node('GlobalAveragePool', [real])
        : graph.node(op, [real], { ...windows, pads: padsOf(window, rows, columns, null) });
    const bounds = fusedBounds(conversion, operator, options?.int8(5) ?? 0);
    if (op === 'MaxPool' || conversion.plain || !value.whole) {
      return conversion.quantized(pooled(conversion.real(value)), output, layout, bounds);
    }
    // TensorFlow Lite averages the stored numbers and rounds ties away from their zero, where ONNX Runtime rounds
    // them to even: so the stored numbers are averaged here, too, and the averages become larger by so little that
    // nothing but ties rounds differently. What the results stand for stays the same.
    const [zeroPoint, largest] = output.type === 'int8' ? [128, 128] : [0, 255];
    const stored = { scale: 1, zeroPoint, type: 'uint8' } as const;
    const trifle = 1 / (4 * largest * window.kernel[0] * window.kernel[1]);
    const mean = pooled(graph.dequantize(value.whole.name, stored));
    const name = graph.quantize(mean, { ...stored, scale: 1 - trifle }, conversion.nameOf(output));
    return conversion.limited(makeValue(layout, { name, quantization: value.whole.quantization }), bounds);
  };
}

/** @param everywhere what ONNX has for all rows and columns at once, the usual case */
function reduce(op: 'Mean' | 'Sum' | 'Max', everywhere: string | null): Layer {
  return (conversion, operator, output) => {
    const [input, along] = operator.inputs;
    const given = conversion.value(input);
    const rank = given.shape.length;
    const wanted = new Set(axesOf(conversion, operator, along, rank));
    const flat = rank === 4 && wanted.size === 2 && wanted.has(1) && wanted.has(2);
    const value = flat ? conversion.asPlanes(given) : given;
    const places = value.axes.flatMap((axis, place) => (wanted.has(axis) ? [place] : []));
    const real = conversion.real(value);
    const inMemory = value.axes.length === 4 && places.join() === '2,3';
    const reduced =
      places.length === 0
        ? real
        : inMemory && everywhere
          ? conversion.graph.node(everywhere, [real])
          : general();
    const shape = value.shape.map((size, axis) => (wanted.has(axis) ? 1 : size));
    const made = conversion.quantized(reduced, output, { shape, axes: value.axes });
    const keeps = (operator.options?.int8(0) ?? 0) !== 0;
    return keeps
      ? made
      : conversion.reshape(
          made,
          shape.filter((_, axis) => !wanted.has(axis)),
        );

    function general(): string {
      const { graph } = conversion;
      if (op !== 'Sum') return graph.node(`Reduce${op}`, [real], { axes: places, keepdims: 1 });
      return graph.node('ReduceSum', [real, graph.constant('axes', int64(places), [places.length])]);
    }
  };
}

/** Axes that a constant lists, counted from the front. */
export function axesOf(
  conversion: Conversion,
  operator: TfliteOperator,
  tensor: TfliteTensor | null | undefined,
  rank: number,
): number[] {
  const axes = tensor ? wholes(tensor).map((axis) => (axis < 0 ? axis + rank : axis)) : [];
  if (axes.length === 0 || axes.some((axis) => axis < 0 || axis >= rank)) {
    conversion.refuse(operator, `works along the axes ${axes.join(', ') || 'that it computes'}`);
  }
  return axes;
}
