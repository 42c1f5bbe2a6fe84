/** Operators that move, select or join numbers without changing them. */
import { activation, type Conversion, count, int64, naturalAxes, PLANES, type Value } from './conversion.ts';
import { elements, ints } from './elements.ts';
import type { Layer } from './layer-operators.ts';
import { axesOf } from './pools.ts';
import type { TfliteOperator, TfliteTensor } from './read-tflite.ts';

export const moves: Record<string, Layer> = {
  RESHAPE: reshape,
  SQUEEZE: reshape,
  EXPAND_DIMS: reshape,
  TRANSPOSE: transpose,
  CONCATENATION: (conversion, operator, output) => {
    const { options, inputs } = operator;
    const rank = (inputs[0]?.data ? inputs[0] : conversion.value(inputs[0])).shape.length;
    const axis = inside(conversion, operator, options?.int32(0) ?? 0, rank);
    return joined(conversion, operator, output, axis, rank);
  },
  PACK: (conversion, operator, output) => {
    const rank = (operator.inputs[0]?.shape.length ?? 0) + 1;
    const axis = inside(conversion, operator, operator.options?.int32(1) ?? 0, rank);
    return joined(conversion, operator, output, axis, rank, (shape) => shape.toSpliced(axis, 0, 1));
  },
  SPLIT: (conversion, operator, output) => {
    const value = conversion.value(operator.inputs[1]);
    const [axis] = axesOf(conversion, operator, operator.inputs[0], value.shape.length) as [number];
    const size = (value.shape[axis] ?? 0) / operator.outputs.length;
    if (!Number.isInteger(size)) conversion.refuse(operator, 'has parts of different sizes');
    const start = size * operator.outputs.indexOf(output);
    return sliced(conversion, value, [{ axis, start, end: start + size, step: 1 }]);
  },
  SPLIT_V: (conversion, operator, output) => {
    const [input, list, along] = operator.inputs;
    const value = conversion.value(input);
    const [axis] = axesOf(conversion, operator, along, value.shape.length) as [number];
    const part = operator.outputs.indexOf(output);
    const given = list ? ints(list) : [];
    const rest = (value.shape[axis] ?? 0) - given.reduce((sum, size) => sum + Math.max(0, size), 0);
    const parts = given.map((size) => (size < 0 ? rest : size));
    if (part >= parts.length) conversion.refuse(operator, 'has part sizes that are not constant');
    const start = parts.slice(0, part).reduce((sum, size) => sum + size, 0);
    return sliced(conversion, value, [{ axis, start, end: start + parts[part]!, step: 1 }]);
  },
  UNPACK: (conversion, operator, output) => {
    const value = conversion.value(operator.inputs[0]);
    const axis = inside(conversion, operator, operator.options?.int32(1) ?? 0, value.shape.length);
    const start = operator.outputs.indexOf(output);
    const one = sliced(conversion, value, [{ axis, start, end: start + 1, step: 1 }]);
    return conversion.reshape(one, one.shape.toSpliced(axis, 1));
  },
  SLICE: (conversion, operator) => {
    const [input, begin, size] = operator.inputs;
    const value = conversion.value(input);
    const [starts, lengths] = [begin, size].map((tensor) => (tensor ? ints(tensor) : []));
    return sliced(
      conversion,
      value,
      value.shape.map((extent, axis) => {
        const [start, length] = [starts?.[axis], lengths?.[axis]];
        if (start === undefined || length === undefined) {
          return conversion.refuse(operator, 'has limits that are not constant');
        }
        return { axis, start, end: length < 0 ? extent : start + length, step: 1 };
      }),
    );
  },
  STRIDED_SLICE: stridedSlice,
  REVERSE_V2: (conversion, operator) => {
    const [input, along] = operator.inputs;
    const value = conversion.value(input);
    const axes = axesOf(conversion, operator, along, value.shape.length);
    return sliced(
      conversion,
      value,
      axes.map((axis) => ({ axis, start: (value.shape[axis] ?? 1) - 1, end: -1, step: -1 })),
    );
  },
  GATHER: (conversion, operator) => {
    const [input, list] = operator.inputs;
    const value = conversion.value(input);
    const axis = inside(conversion, operator, operator.options?.int32(0) ?? 0, value.shape.length);
    const indices = list ? ints(list) : [];
    if (indices.length === 0 || list!.shape.length > 1 || operator.options?.int32(1)) {
      conversion.refuse(operator, 'has indices that are not constant');
    }
    const full = complete(conversion, value);
    const constant = conversion.graph.constant('indices', int64(indices), [indices.length]);
    const picked = conversion.moved(full, 'Gather', [constant], { axis: full.axes.indexOf(axis) });
    const shape = value.shape.with(axis, indices.length);
    const made = { ...picked, shape };
    return list!.shape.length === 0 ? conversion.reshape(made, shape.toSpliced(axis, 1)) : made;
  },
  SPACE_TO_DEPTH: (conversion, operator, output) => {
    const value = conversion.asPlanes(conversion.value(operator.inputs[0]));
    const block = operator.options?.int32(0) ?? 0;
    const [batch = 1, rows = 0, columns = 0, channels = 0] = value.shape;
    if (block < 1 || rows % block || columns % block)
      conversion.refuse(operator, `has a block size of ${block} for ${rows}×${columns}`);
    const moved = conversion.graph.node('SpaceToDepth', [conversion.float(value)], { blocksize: block });
    const shape = [batch, rows / block, columns / block, channels * block * block];
    return conversion.quantized(moved, output, { shape, axes: PLANES });
  },
  PAD: pad,
  PADV2: pad,
};

function reshape(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const value = conversion.value(operator.inputs[0]);
  if (count(value.shape) !== count(output.shape)) {
    // If the shape is computed for any batch size, the file states 1 for unknown sizes.
    if (operator.inputs[1] && !operator.inputs[1].data) return value;
    conversion.refuse(operator, `changes the shape ${value.shape.join('×')} to ${output.shape.join('×')}`);
  }
  return conversion.reshape(value, output.shape);
}

/** Only records the new layout; numbers are moved when an operator needs them in order. */
function transpose(conversion: Conversion, operator: TfliteOperator): Value {
  const [input, list] = operator.inputs;
  const value = conversion.value(input);
  const order = axesOf(conversion, operator, list, value.shape.length);
  if (order.toSorted().join() !== naturalAxes(value.shape).join()) {
    conversion.refuse(operator, `transposes ${value.shape.join('×')} by ${order.join(', ')}`);
  }
  return conversion.transposed(value, order);
}

/** Concatenates values along one axis. They may have different scales. */
function joined(
  conversion: Conversion,
  operator: TfliteOperator,
  output: TfliteTensor,
  axis: number,
  rank: number,
  widened: (shape: readonly number[]) => number[] = (shape) => [...shape],
): Value {
  const axes = rank === 4 ? PLANES : [...Array(rank).keys()];
  const parts = operator.inputs.map((tensor) => {
    const value = conversion.value(tensor);
    const shape = widened(value.shape);
    if (shape.length !== rank) conversion.refuse(operator, 'joins values of different ranks');
    return conversion.arranged(conversion.reshape(value, shape), axes);
  });
  const sum = parts.reduce((length, { shape }) => length + (shape[axis] ?? 0), 0);
  const layout = { shape: (parts[0]?.shape ?? []).with(axis, sum), axes };
  const attributes = { axis: axes.indexOf(axis) };
  const quantization = activation(output);
  const alike = parts.every(
    ({ int }) =>
      int?.quantization.scale === quantization?.scale &&
      int?.quantization.zeroPoint === quantization?.zeroPoint,
  );
  if (quantization && alike) {
    const names = parts.map(({ int }) => int!.name);
    const name = conversion.graph.node('Concat', names, attributes, conversion.nameOf(output));
    return { ...layout, int: { name, quantization }, float: null, padding: null };
  }
  const floats = parts.map((part) => conversion.float(part));
  const result = conversion.graph.node('Concat', floats, attributes);
  return conversion.quantized(result, output, layout);
}

interface Cut {
  axis: number;
  /** First index, and the index after the last; −1 as the end of a negative step means before the first. */
  start: number;
  end: number;
  step: number;
}

function sliced(conversion: Conversion, value: Value, cuts: readonly Cut[]): Value {
  const needed = cuts.filter(
    ({ axis, start, end, step }) => start !== 0 || end !== value.shape[axis] || step !== 1,
  );
  if (needed.length === 0) return value;
  const full = complete(conversion, value);
  const list = (numbers: number[]) => conversion.graph.constant('cut', int64(numbers), [numbers.length]);
  // ONNX counts negative ends from the back, so an end before the first index must be very small.
  const ends = needed.map(({ end }) => (end < 0 ? -(2 ** 31) : end));
  const cut = conversion.moved(full, 'Slice', [
    list(needed.map(({ start }) => start)),
    list(ends),
    list(needed.map(({ axis }) => full.axes.indexOf(axis))),
    list(needed.map(({ step }) => step)),
  ]);
  const shape = [...value.shape];
  for (const { axis, start, end, step } of needed) shape[axis] = Math.max(0, Math.ceil((end - start) / step));
  return { ...cut, shape };
}

function stridedSlice(conversion: Conversion, operator: TfliteOperator): Value {
  const { options } = operator;
  const [input, ...lists] = operator.inputs;
  const value = conversion.value(input);
  const [begins, ends, steps] = lists.map((tensor) => (tensor ? ints(tensor) : [])) as number[][];
  const mask = (field: number, axis: number) => (((options?.int32(field) ?? 0) >> axis) & 1) === 1;
  if (!begins?.length || ends?.length !== begins.length || steps?.length !== begins.length) {
    conversion.refuse(operator, 'has limits that are not constant');
  }
  if (options?.int32(2) || options?.int32(3) || options?.int8(5) || begins.length > value.shape.length) {
    conversion.refuse(operator, 'has options that are not supported');
  }
  const single = begins.map((_, axis) => mask(4, axis));
  const cuts = begins.map((begin, axis): Cut => {
    const size = value.shape[axis]!;
    const step = single[axis] ? 1 : steps[axis]!;
    if (step === 0) conversion.refuse(operator, 'has a step of 0');
    const [lowest, highest] = step > 0 ? [0, size] : [-1, size - 1];
    const at = (place: number) => Math.max(lowest, Math.min(highest, place < 0 ? place + size : place));
    const start = mask(0, axis) ? (step > 0 ? 0 : size - 1) : at(begin);
    if (single[axis]) return { axis, start, end: start + 1, step };
    return { axis, start, end: mask(1, axis) ? (step > 0 ? size : -1) : at(ends[axis]!), step };
  });
  const cut = sliced(conversion, value, cuts);
  return conversion.reshape(
    cut,
    cut.shape.filter((_, axis) => !single[axis]),
  );
}

/** Zero padding stays pending, because the convolution that usually follows can pad. */
function pad(conversion: Conversion, operator: TfliteOperator): Value {
  const [input, amounts, filling] = operator.inputs;
  const given = conversion.value(input);
  const pads = amounts ? ints(amounts) : [];
  if (pads.length !== 2 * given.shape.length || pads.some((n) => n < 0 || n > 1024)) {
    conversion.refuse(
      operator,
      pads.length > 0 ? `pads by ${pads.join(', ')}` : 'has padding that is not constant',
    );
  }
  const shape = given.shape.map((size, axis) => size + pads[2 * axis]! + pads[2 * axis + 1]!);
  const quantization = given.int?.quantization;
  const fill =
    operator.name === 'PADV2' ? fillingOf(conversion, operator, filling) : (quantization?.zeroPoint ?? 0);
  const flat = pads.length === 8 && pads.every((amount, index) => amount === 0 || (index >= 2 && index < 6));
  if (quantization && flat && fill === quantization.zeroPoint) {
    const [, , top, bottom, left, right] = pads as [number, number, number, number, number, number];
    return { ...conversion.asPlanes(given), shape, padding: { top, left, bottom, right, fill } };
  }
  const value = flat ? conversion.asPlanes(given) : complete(conversion, given);
  const sides = [0, 1].flatMap((side) => value.axes.map((axis) => pads[2 * axis + side]!));
  const filled = quantization ? Uint8Array.of(fill) : Float32Array.of(fill);
  const more = [
    conversion.graph.constant('pads', int64(sides), [sides.length]),
    conversion.graph.constant('filling', filled),
  ];
  return { ...conversion.moved(value, 'Pad', more), shape };
}

/** The value that PADV2 pads with; integers have the scale of the input, as uint8. */
function fillingOf(
  conversion: Conversion,
  operator: TfliteOperator,
  tensor: TfliteTensor | null | undefined,
): number {
  const found = tensor && elements(tensor);
  if (found?.length !== 1) conversion.refuse(operator, 'has a padding value that is not constant');
  return Number(found[0]) + (tensor!.type === 'int8' ? 128 : 0);
}

/** The value with every axis in memory. */
function complete(conversion: Conversion, value: Value): Value {
  const natural = naturalAxes(value.shape);
  if (value.axes.toSorted().join() === natural.join()) return value;
  return conversion.arranged(value, natural);
}

function inside(conversion: Conversion, operator: TfliteOperator, axis: number, rank: number): number {
  const found = axis < 0 ? axis + rank : axis;
  if (found < 0 || found >= rank) conversion.refuse(operator, `has axis ${axis} for ${rank} dimensions`);
  return found;
}
