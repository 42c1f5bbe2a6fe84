/**
 * Makes the weights of pointwise convolutions symmetric without changing a single result.
 *
 * ONNX Runtime is much faster when the zero point of int8 weights is 0 (on x86-64 and on Arm), but uint8 weights
 * less their zero point do not quite fit into −127…127: mostly one or two weights of a layer are larger. Such a
 * weight w on channel c can be split, w·x = 127·x + (w − 127)·x, if x is there twice. So channel c gets a copy
 * behind the last channel: the convolution that makes it has one row of weights twice, and whatever lies in
 * between (depthwise convolutions, sums, pools) carries the copy along.
 *
 * MobileNetV2 1.0/224 with the zero points of its file takes 3.8 ms on one core of an x86-64 with VNNI, with copies
 * 3.4 ms, and with uint8 weights 5.0 ms.
 */
import type { TfliteOperator, TfliteTensor } from './read-tflite.ts';

/** Largest weight, in steps from zero. */
export const LARGEST = 127;
/** The fast kernels work on blocks of this many channels. */
const BLOCK = 8;
/** A layer that needs more copies than this share of its channels is left as it is. */
const MOST_COPIES = 1 / 8;

/** Operators whose output channels are their input channels. */
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

/** Values that must have the same copies, because one is made of the other channel by channel. */
interface Group {
  /** Whether every one that makes or uses its values can deal with copies. */
  open: boolean;
  /** Channel → how many copies. */
  wanted: Map<number, number>;
}

/** Value → the channels that it has a second time, in the order in which they follow its last channel. */
export type Copies = ReadonlyMap<TfliteTensor, readonly number[]>;

/** @param fixed values that must keep their channels, such as the features that are an output */
export function planCopies(operators: readonly TfliteOperator[], fixed: ReadonlySet<TfliteTensor>): Copies {
  const groups = findGroups(operators, fixed);
  for (const operator of operators) {
    const [input] = operator.inputs;
    const group = input && groups.get(input);
    if (!group?.open || !isPointwise(operator)) continue;
    const wanted = wantedCopies(operator);
    const count = [...wanted.values()].reduce((sum, copies) => sum + copies, 0);
    if (count > MOST_COPIES * input!.shape.at(-1)!) continue;
    for (const [channel, copies] of wanted) {
      group.wanted.set(channel, Math.max(copies, group.wanted.get(channel) ?? 0));
    }
  }
  const copies = new Map<TfliteTensor, readonly number[]>();
  for (const [tensor, { wanted }] of groups) {
    const channels = tensor.shape.at(-1)!;
    const list = [...wanted].flatMap(([channel, times]) => new Array<number>(times).fill(channel));
    // Copies of the first channel fill up; nothing uses them.
    while (list.length > 0 && (channels + list.length) % BLOCK !== 0) list.push(0);
    copies.set(tensor, list);
  }
  return copies;
}

/** Weights less their zero point, without any copies. */
export function centred({ data, type, zeroPoints }: TfliteTensor): Int16Array {
  const zero = zeroPoints[0] ?? 0;
  if (type === 'uint8') return Int16Array.from(data!, (byte) => byte - zero);
  return Int16Array.from(data!, (byte) => ((byte << 24) >> 24) - zero);
}

/** A convolution over single pixels that sees all channels, its zero point the same for all weights. */
export function isPointwise({ name, inputs: [input, weights] }: TfliteOperator): boolean {
  if (name !== 'CONV_2D' || !weights?.data || weights.shape.length !== 4 || weights.scales.length !== 1)
    return false;
  return weights.shape[1] === 1 && weights.shape[2] === 1 && weights.shape[3] === input?.shape.at(-1);
}

function wantedCopies({ inputs: [, weights] }: TfliteOperator): Map<number, number> {
  const channels = weights!.shape[3]!;
  const wanted = new Map<number, number>();
  for (const [index, weight] of centred(weights!).entries()) {
    const copies = Math.ceil(Math.abs(weight) / LARGEST) - 1;
    if (copies < 1) continue;
    const channel = index % channels;
    wanted.set(channel, Math.max(copies, wanted.get(channel) ?? 0));
  }
  return wanted;
}

function findGroups(
  operators: readonly TfliteOperator[],
  fixed: ReadonlySet<TfliteTensor>,
): Map<TfliteTensor, Group> {
  const groups = new Map<TfliteTensor, Group>();
  const groupOf = (tensor: TfliteTensor): Group => {
    const group = groups.get(tensor) ?? { open: false, wanted: new Map() };
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
    const copes = operator.name === 'CONV_2D' ? isPlain(operator) : false;
    if (!copes) for (const value of values) groupOf(value).open = false;
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
  // A depthwise convolution may also make several channels of one.
  const channels = output?.shape.at(-1);
  return (
    values.every(({ shape }) => shape.length === 4 && shape.at(-1) === channels) && input?.type !== 'float32'
  );
}
