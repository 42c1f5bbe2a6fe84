/** Tells image classifiers from networks that do something else, by what goes in and what comes out. */
import { LookoutError } from '../errors.ts';

/** An input or an output of a network. */
export interface Port {
  name: string;
  /** Type of its elements, as `float32`. */
  type: string;
  /** Null for a size that the file leaves open; null altogether if it says nothing. */
  shape: readonly (number | null)[] | null;
}

export interface Network {
  inputs: readonly Port[];
  /** Those that are looked at. */
  outputs: readonly Port[];
  /** Names of its operators. */
  operators: Iterable<string>;
}

/** What a network is instead of a classifier; `todo` is what to do about it. */
interface Finding {
  is: string;
  todo?: string;
}

const CLASSIFIERS =
  'Lookout runs image classifiers, which take one picture and answer with one score for each label. ' +
  '`lookout model list` shows some.';

/**
 * @param file named in errors
 * @throws LookoutError MODEL_INPUT_UNSUPPORTED, MODEL_OUTPUT_UNSUPPORTED for networks that are known to be something else
 */
export function checkNetwork(network: Network, file: string): void {
  const refuse = (
    code: 'MODEL_INPUT_UNSUPPORTED' | 'MODEL_OUTPUT_UNSUPPORTED',
    { is, todo = CLASSIFIERS }: Finding,
  ) => new LookoutError(code, `${file} ${is}`, { hint: todo });
  const input = inputFinding(network);
  if (input) throw refuse('MODEL_INPUT_UNSUPPORTED', input);
  const output = outputFinding(network);
  if (output) throw refuse('MODEL_OUTPUT_UNSUPPORTED', output);
}

const STATEFUL = /LSTM|RNN|^GRU$|^SVDF$|VAR_HANDLE|READ_VARIABLE/;
const SOUND = /audio|waveform|spectro|mfcc|(^|[^a-z])mfe([^a-z]|$)|speech|sound|fingerprint/i;
/** Rows and columns of sound over time, as common recognisers of words and noises take it. */
const SPECTROGRAMS = new Set(
  [
    [49, 10],
    [49, 13],
    [49, 40],
    [98, 40],
    [99, 40],
    [101, 40],
    [96, 64],
    [98, 64],
    [43, 232],
  ].flatMap(([a, b]) => [`${a}×${b}`, `${b}×${a}`]),
);

function inputFinding({ inputs, operators }: Network): Finding | null {
  const [input] = inputs;
  if (!input?.shape) return null;
  if (inputs.length > 1) {
    return { is: `takes ${inputs.length} inputs at once: ${listed(inputs)}` };
  }
  const { name, type, shape } = input;
  const [batch, ...sizes] = shape as [number | null, ...(number | null)[]];
  const text = shapeText(shape);
  const stateful = [...operators].find((operator) => STATEFUL.test(operator));
  if (stateful) {
    return {
      is: `keeps a state from one run to the next (${stateful}), as networks for sound, text or video do`,
    };
  }
  if (type === 'string' || ((type === 'int32' || type === 'int64') && shape.length < 4)) {
    return { is: `takes text (${text} ${type}), not a picture` };
  }
  const one = sizes.length === 3 && sizes.includes(1) ? sizes.filter((size) => size !== 1) : [];
  if (SOUND.test(name) || SPECTROGRAMS.has(one.join('×')))
    return { is: `takes sound (${name}, ${text}), not a picture` };
  if (shape.length < 4) {
    return {
      is: `takes ${text} numbers (sound, text or sensor values), not a picture of 1×H×W×3 or 1×H×W×1`,
    };
  }
  if (shape.length > 4) return { is: `takes several pictures at once (${text}), as networks for video do` };
  if (batch !== null && batch > 1) {
    return {
      is: `takes ${batch} pictures at once (${text})`,
      todo: 'Export it again for one picture at a time (a batch of 1).',
    };
  }
  return null;
}

const BOXES = /Detection_PostProcess|NON_MAX_SUPPRESSION|NonMaxSuppression|NMS/;

function outputFinding(network: Network): Finding | null {
  const { outputs } = network;
  const answers = `it answers with ${outputs.length > 1 ? `${outputs.length} outputs, ` : ''}${listed(outputs)}`;
  const finds = [...network.operators].find((operator) => BOXES.test(operator));
  if (finds) return { is: `is an object detector: it ends in ${finds.replace('CUSTOM ', '')}` };
  const shapes = outputs.map(({ shape }) => longSizes(shape));
  if (shapes.some((shape) => isPose(shape))) return { is: `finds the poses of people: ${answers}` };
  if (outputs.length > 1) {
    const boxes = shapes.some((shape) => shape.length === 2 && (shape.includes(4) || isYolo(network, shape)));
    if (boxes) return { is: `is an object detector: ${answers}` };
    if (shapes.some(({ length }) => length < 3)) return null;
    // Detectors look at several scales, networks for poses make several maps of one.
    const [first = []] = shapes;
    const alike = shapes.every((shape) => first.length === 3 && shared(shape, first) >= 2);
    return { is: `${alike ? 'finds the poses of people' : 'is an object detector'}: ${answers}` };
  }
  const [output] = outputs;
  const [shape] = shapes;
  if (!output || !shape) return null;
  if (output.type.startsWith('int') && output.type !== 'int8' && shape.length === 0) {
    return {
      is: 'answers with the number of a class alone, without scores',
      todo: 'Export it without its last layer (argmax), so that it answers with one score for each label.',
    };
  }
  if (shape.length < 2) return null;
  if (output.shape!.length > 3) return { is: `${kindOfMap(network, shape)}: ${answers}` };
  const kind = isYolo(network, shape) ? 'is an object detector' : 'answers with a table, as detectors do';
  return { is: `${kind}: ${answers}` };
}

/** 17 keypoints of people, each with place and score; with a box that makes 56 numbers for each person. */
function isPose(shape: readonly number[]): boolean {
  const several = shape.length === 2 && Math.min(...shape) === 56 && Math.max(...shape) > 300;
  return shape.join() === '17,3' || shape.join() === '6,56' || several;
}

/** As many candidates as there are places at strides 8, 16 and 32 (and 64), once or three times. */
function isYolo({ inputs }: Network, shape: readonly number[]): boolean {
  const sides = longSizes(inputs[0]?.shape ?? null).filter((size) => size > 3);
  const [height, width] = sides as [number, number];
  const places = (strides: readonly number[]) =>
    strides.reduce((sum, stride) => sum + Math.ceil(height / stride) * Math.ceil(width / stride), 0);
  const counts = [
    [8, 16, 32],
    [16, 32],
    [8, 16, 32, 64],
  ].map(places);
  return counts.some((count) => shape.includes(count) || shape.includes(3 * count));
}

/** What a network with an answer for each place of the picture does. */
function kindOfMap({ inputs }: Network, sizes: readonly number[]): string {
  const sides = longSizes(inputs[0]?.shape ?? null).filter((size) => size > 3);
  const large = sizes.filter((size) => size * 2 >= Math.min(...sides));
  if (large.length >= 2) return 'paints a map over the picture, as for segmentation';
  if (sizes.includes(17)) return 'finds the poses of people';
  const points = sides.every((side) => side % 8 === 0 && sizes.includes(side / 8));
  return points
    ? 'is an object detector for points (such as FOMO of Edge Impulse), or finds poses'
    : 'is an object detector, or finds poses';
}

/** How many sizes two shapes have in common. */
function shared(a: readonly number[], b: readonly number[]): number {
  const rest = [...b];
  return a.filter((size) => rest.includes(size) && rest.splice(rest.indexOf(size), 1)).length;
}

/** The sizes other than one and those that are open, batch aside. */
function longSizes(shape: Port['shape']): number[] {
  return (shape ?? [])
    .slice((shape?.length ?? 0) > 1 ? 1 : 0)
    .filter((size): size is number => size !== null && size !== 1);
}

function listed(ports: readonly Port[]): string {
  const named = ports.map(({ name, shape }) => `${name} ${shape ? shapeText(shape) : ''}`.trim());
  return named.length > 6 ? `${named.slice(0, 6).join(', ')} and ${named.length - 6} more` : named.join(', ');
}

function shapeText(shape: readonly (number | null)[]): string {
  return shape.map((size) => size ?? '?').join('×');
}
