/**
 * Makes the weights of pointwise convolutions symmetric without changing a result.
 *
 * ONNX Runtime is much faster if the zero point of int8 weights is 0 (on x86-64 and on Arm), but uint8 weights minus
 * their zero point do not quite fit into −127…127: usually one or two weights of a layer are larger. Such a weight w on
 * channel c can be split, w·x = 127·x + (w − 127)·x, if x is available twice. So channel c gets a copy after the last
 * channel: the convolution that makes it has one row of weights twice, and all operators in between (depthwise
 * convolutions, sums, pools) pass the copy on.
 *
 * MobileNetV2 1.0/224 with the zero points of its file takes 3.8 ms on one core of an x86-64 with VNNI, with copies
 * 3.4 ms, and with uint8 weights 5.0 ms.
 */
import type { TfliteOperator, TfliteTensor } from './read-tflite.ts';

/** Largest weight, in steps from zero. */
export const LARGEST = 127;
/** The fast kernels work on blocks of this many channels. */
const BLOCK = 8;
/** A layer that needs more copies than this share of its channels is left unchanged. */
const MAX_COPY_SHARE = 1 / 8;

/** Operators that map each input channel to the same output channel. */
const CARRIERS = new Set([
  'DEPTHWISE_CONV_2D',
  'ADD',
  'AVERAGE_POOL_2D',
  'MAX_POOL_2D',
  'PAD',
  'PADV2',
  'RELU',
  'RELU6',
  'RELU_0_TO_1',
  'RELU_N1_TO_1',
  'QUANTIZE',
]);

/** Values that must have the same copies, because one is computed from the other channel by channel. */
interface Group {
  /** Whether all operators that make or use the values support copies. */
  open: boolean;
  /** Channel → number of copies. */
  needed: Map<number, number>;
}

/** Value → its duplicated channels, in the order in which they follow its last channel. */
export type Copies = ReadonlyMap<TfliteTensor, readonly number[]>;

/** @param fixed values that must keep their channels, such as the features that are an output */
export function planCopies(operators: readonly TfliteOperator[], fixed: ReadonlySet<TfliteTensor>): Copies {
  const groups = findGroups(operators, fixed);
  for (const operator of operators) {
    const [input] = operator.inputs;
    const group = input && groups.get(input);
    if (!group?.open || !isPointwise(operator)) continue;
    const needed = neededCopies(operator);
    const count = [...needed.values()].reduce((sum, copies) => sum + copies, 0);
    if (count > MAX_COPY_SHARE * input!.shape.at(-1)!) continue;
    for (const [channel, copies] of needed) {
      group.needed.set(channel, Math.max(copies, group.needed.get(channel) ?? 0));
    }
  }
  const copies = new Map<TfliteTensor, readonly number[]>();
  for (const [tensor, { needed }] of groups) {
    const channels = tensor.shape.at(-1)!;
    const list = [...needed].flatMap(([channel, times]) => new Array<number>(times).fill(channel));
    // Unused copies of the first channel fill the last block.
    while (list.length > 0 && (channels + list.length) % BLOCK !== 0) list.push(0);
    copies.set(tensor, list);
  }
  return copies;
}

/** Weights minus their zero point, without copies. */
export function centred({ data, type, zeroPoints }: TfliteTensor): Int16Array {
  const zero = zeroPoints[0] ?? 0;
  if (type === 'uint8') return Int16Array.from(data!, (byte) => byte - zero);
  return Int16Array.from(data!, (byte) => ((byte << 24) >> 24) - zero);
}

/** A convolution over single pixels and all channels, with one zero point for all weights. */
export function isPointwise({ name, inputs: [input, weights] }: TfliteOperator): boolean {
  if (name !== 'CONV_2D' || !weights?.data || weights.shape.length !== 4 || weights.scales.length !== 1)
    return false;
  return weights.shape[1] === 1 && weights.shape[2] === 1 && weights.shape[3] === input?.shape.at(-1);
}

function neededCopies({ inputs: [, weights] }: TfliteOperator): Map<number, number> {
  const channels = weights!.shape[3]!;
  const needed = new Map<number, number>();
  for (const [index, weight] of centred(weights!).entries()) {
    const copies = Math.ceil(Math.abs(weight) / LARGEST) - 1;
    if (copies < 1) continue;
    const channel = index % channels;
    needed.set(channel, Math.max(copies, needed.get(channel) ?? 0));
  }
  return needed;
}

function findGroups(
  operators: readonly TfliteOperator[],
  fixed: ReadonlySet<TfliteTensor>,
): Map<TfliteTensor, Group> {
  const groups = new Map<TfliteTensor, Group>();
  const groupOf = (tensor: TfliteTensor): Group => {
    const group = groups.get(tensor) ?? { open: false, needed: new Map() };
    groups.set(tensor, group);
    return group;
  };
  const join = (a: Group, b: Group): void => {
    if (a === b) return;
    a.open &&= b.open;
    for (const [tensor, group] of groups) if (group === b) groups.set(tensor, a);
  };
  for (const operator of operators) {
    const [output] = operator.outputs;
    if (!output) continue;
    const values = operator.inputs.filter((tensor) => tensor !== null && !tensor.data) as TfliteTensor[];
    const made = groupOf(output);
    if (operator.name === 'CONV_2D') made.open = isPlain(operator);
    else if (carries(operator, values)) {
      made.open = true;
      for (const value of values) join(made, groupOf(value));
      continue;
    }
    const supportsCopies = operator.name === 'CONV_2D' ? isPlain(operator) : false;
    if (!supportsCopies) for (const value of values) groupOf(value).open = false;
  }
  for (const tensor of fixed) groupOf(tensor).open = false;
  return groups;
}

/** A convolution without groups: each output sees every channel. */
function isPlain({ inputs: [input, weights] }: TfliteOperator): boolean {
  return weights?.data !== null && weights?.shape.length === 4 && weights.shape[3] === input?.shape.at(-1);
}

function carries(
  { name, inputs, outputs: [output] }: TfliteOperator,
  values: readonly TfliteTensor[],
): boolean {
  if (!CARRIERS.has(name)) return false;
  if (name === 'ADD' && values.length !== 2) return false;
  const [input] = inputs;
  // A depthwise convolution can also make several channels from one.
  const channels = output?.shape.at(-1);
  return (
    values.every(({ shape }) => shape.length === 4 && shape.at(-1) === channels) && input?.type !== 'float32'
  );
}
