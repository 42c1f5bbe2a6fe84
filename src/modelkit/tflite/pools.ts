/** Operators that reduce many numbers to one: over a window or along axes. */
import { type Conversion, int64, makeValue } from './conversion.ts';
import { ints } from './elements.ts';
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
    const pooled = (float: string) =>
      op === 'AveragePool' && everywhere
        ? graph.node('GlobalAveragePool', [float])
        : graph.node(op, [float], { ...windows, pads: padsOf(window, rows, columns, null) });
    const bounds = fusedBounds(conversion, operator, options?.int8(5) ?? 0);
    if (op === 'MaxPool' || conversion.plain || !value.int) {
      return conversion.quantized(pooled(conversion.float(value)), output, layout, bounds);
    }
    // TensorFlow Lite averages the stored integers and rounds ties away from their zero; ONNX Runtime rounds ties to
    // even. So the stored integers are averaged here, too, and the averages are scaled up so slightly that only ties
    // round differently. The scale and zero point of the results stay the same.
    const [zeroPoint, largest] = output.type === 'int8' ? [128, 128] : [0, 255];
    const stored = { scale: 1, zeroPoint, type: 'uint8' } as const;
    const epsilon = 1 / (4 * largest * window.kernel[0] * window.kernel[1]);
    const mean = pooled(graph.dequantize(value.int.name, stored));
    const name = graph.quantize(mean, { ...stored, scale: 1 - epsilon }, conversion.nameOf(output));
    return conversion.limited(makeValue(layout, { name, quantization: value.int.quantization }), bounds);
  };
}

/** @param everywhere ONNX's operator for all rows and columns together, the usual case */
function reduce(op: 'Mean' | 'Sum' | 'Max', everywhere: string | null): Layer {
  return (conversion, operator, output) => {
    const [input, along] = operator.inputs;
    const given = conversion.value(input);
    const rank = given.shape.length;
    const axes = new Set(axesOf(conversion, operator, along, rank));
    const flat = rank === 4 && axes.size === 2 && axes.has(1) && axes.has(2);
    const value = flat ? conversion.asPlanes(given) : given;
    const places = value.axes.flatMap((axis, place) => (axes.has(axis) ? [place] : []));
    const float = conversion.float(value);
    const inMemory = value.axes.length === 4 && places.join() === '2,3';
    const reduced =
      places.length === 0
        ? float
        : inMemory && everywhere
          ? conversion.graph.node(everywhere, [float])
          : general();
    const shape = value.shape.map((size, axis) => (axes.has(axis) ? 1 : size));
    const made = conversion.quantized(reduced, output, { shape, axes: value.axes });
    const keeps = (operator.options?.int8(0) ?? 0) !== 0;
    return keeps
      ? made
      : conversion.reshape(
          made,
          shape.filter((_, axis) => !axes.has(axis)),
        );

    function general(): string {
      const { graph } = conversion;
      if (op !== 'Sum') return graph.node(`Reduce${op}`, [float], { axes: places, keepdims: 1 });
      return graph.node('ReduceSum', [float, graph.constant('axes', int64(places), [places.length])]);
    }
  };
}

/** The axes that a constant lists, without negative numbers. */
export function axesOf(
  conversion: Conversion,
  operator: TfliteOperator,
  tensor: TfliteTensor | null | undefined,
  rank: number,
): number[] {
  const axes = tensor ? ints(tensor).map((axis) => (axis < 0 ? axis + rank : axis)) : [];
  if (axes.length === 0 || axes.some((axis) => axis < 0 || axis >= rank)) {
    conversion.refuse(
      operator,
      axes.length > 0 ? `has invalid axes ${axes.join(', ')}` : 'has axes that are not constant',
    );
  }
  return axes;
}
