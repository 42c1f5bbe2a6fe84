/** Recognises networks that are not image classifiers by their inputs, outputs and operators. */
import { LookoutError } from '../errors.ts';

/** An input or an output of a network. */
export interface Port {
  name: string;
  /** Element type, for example `float32`. */
  type: string;
  /** A size is null where the file leaves it open; the shape is null if the file states none. */
  shape: readonly (number | null)[] | null;
}

export interface Network {
  inputs: readonly Port[];
  /** The outputs to check. */
  outputs: readonly Port[];
  /** Operator names. */
  operators: Iterable<string>;
}

/** What a network is instead of a classifier; `todo` is the hint. */
interface Finding {
  is: string;
  todo?: string;
}

const CLASSIFIERS =
  'Lookout runs image classifiers: networks that take one image and return one score for each label. ' +
  'Run `lookout model list` to see some.';

/**
 * @param file named in errors
 * @throws LookoutError MODEL_INPUT_UNSUPPORTED, MODEL_OUTPUT_UNSUPPORTED for networks that are known to be something else
 */
export function checkNetwork(network: Network, file: string): void {
  checkInput(network, file);
  const output = outputFinding(network);
  if (output) throw refusal('MODEL_OUTPUT_UNSUPPORTED', output, file);
}

/**
 * What can be said of a classifier and a detector alike.
 * @throws LookoutError MODEL_INPUT_UNSUPPORTED for networks that are known to take something other than one image
 */
export function checkInput(network: Network, file: string): void {
  const input = inputFinding(network);
  if (input) throw refusal('MODEL_INPUT_UNSUPPORTED', input, file);
}

function refusal(
  code: 'MODEL_INPUT_UNSUPPORTED' | 'MODEL_OUTPUT_UNSUPPORTED',
  { is, todo = CLASSIFIERS }: Finding,
  file: string,
): LookoutError {
  return new LookoutError(code, `${file} ${is}`, { hint: todo });
}

const STATEFUL = /LSTM|RNN|^GRU$|^SVDF$|VAR_HANDLE|READ_VARIABLE/;
const SOUND = /audio|waveform|spectro|mfcc|(^|[^a-z])mfe([^a-z]|$)|speech|sound|fingerprint/i;
/** Spectrogram sizes of common keyword and sound classifiers. */
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
      is: `keeps state between runs (${stateful}), as networks for sound, text or video do`,
    };
  }
  if (type === 'string' || ((type === 'int32' || type === 'int64') && shape.length < 4)) {
    return { is: `takes text (${text} ${type}), not an image` };
  }
  const one = sizes.length === 3 && sizes.includes(1) ? sizes.filter((size) => size !== 1) : [];
  if (SOUND.test(name) || SPECTROGRAMS.has(one.join('×')))
    return { is: `takes sound (${name}, ${text}), not an image` };
  if (shape.length < 4) {
    return {
      is: `takes ${text} numbers (sound, text or sensor values), not an image of 1×H×W×3 or 1×H×W×1`,
    };
  }
  if (shape.length > 4) return { is: `takes several images at once (${text}), as networks for video do` };
  if (batch !== null && batch > 1) {
    return {
      is: `takes ${batch} images at once (${text})`,
      todo: 'Export it again with a batch size of 1.',
    };
  }
  return null;
}

const BOXES = /Detection_PostProcess|NON_MAX_SUPPRESSION|NonMaxSuppression|NMS/;

function outputFinding(network: Network): Finding | null {
  const { outputs } = network;
  const answers = `it returns ${outputs.length > 1 ? `${outputs.length} outputs, ` : ''}${listed(outputs)}`;
  const finds = [...network.operators].find((operator) => BOXES.test(operator));
  if (finds) return { is: `is an object detector: it ends in ${finds.replace('CUSTOM ', '')}` };
  const shapes = outputs.map(({ shape }) => longSizes(shape));
  if (shapes.some((shape) => isPose(shape))) return { is: `is a pose network: ${answers}` };
  if (outputs.length > 1) {
    const boxes = shapes.some((shape) => shape.length === 2 && (shape.includes(4) || isYolo(network, shape)));
    if (boxes) return { is: `is an object detector: ${answers}` };
    if (shapes.some(({ length }) => length < 3)) return null;
    // Detectors return maps of several scales, pose networks several maps of one scale.
    const [first = []] = shapes;
    const alike = shapes.every((shape) => first.length === 3 && shared(shape, first) >= 2);
    return { is: `${alike ? 'is a pose network' : 'is an object detector'}: ${answers}` };
  }
  const [output] = outputs;
  const [shape] = shapes;
  if (!output || !shape) return null;
  if (output.type.startsWith('int') && output.type !== 'int8' && shape.length === 0) {
    return {
      is: 'returns only the number of a class, without scores',
      todo: 'Export it without its last layer (argmax), so that it returns one score for each label.',
    };
  }
  if (shape.length < 2) return null;
  if (output.shape!.length > 3) return { is: `${kindOfMap(network, shape)}: ${answers}` };
  const kind = isYolo(network, shape) ? 'is an object detector' : 'returns a table, as detectors do';
  return { is: `${kind}: ${answers}` };
}

/** 17 keypoints for each person, each with a position and a score; with a box these are 56 numbers. */
function isPose(shape: readonly number[]): boolean {
  const several = shape.length === 2 && Math.min(...shape) === 56 && Math.max(...shape) > 300;
  return shape.join() === '17,3' || shape.join() === '6,56' || several;
}

/** One or three candidates for each cell of the grids with strides 8, 16 and 32 (and 64). */
function isYolo({ inputs }: Network, shape: readonly number[]): boolean {
  const sides = longSizes(inputs[0]?.shape ?? null).filter((size) => size > 3);
  const [height, width] = sides as [number, number];
  const cells = (strides: readonly number[]) =>
    strides.reduce((sum, stride) => sum + Math.ceil(height / stride) * Math.ceil(width / stride), 0);
  const counts = [
    [8, 16, 32],
    [16, 32],
    [8, 16, 32, 64],
  ].map(cells);
  return counts.some((count) => shape.includes(count) || shape.includes(3 * count));
}

/** What a network does that returns a value for each place of the image. */
function kindOfMap({ inputs }: Network, sizes: readonly number[]): string {
  const sides = longSizes(inputs[0]?.shape ?? null).filter((size) => size > 3);
  const large = sizes.filter((size) => size * 2 >= Math.min(...sides));
  if (large.length >= 2) return 'returns a map of the image, as segmentation networks do';
  if (sizes.includes(17)) return 'is a pose network';
  const points = sides.every((side) => side % 8 === 0 && sizes.includes(side / 8));
  return points
    ? 'is an object detector for points (such as FOMO by Edge Impulse) or a pose network'
    : 'is an object detector or a pose network';
}

/** How many sizes two shapes have in common. */
function shared(a: readonly number[], b: readonly number[]): number {
  const rest = [...b];
  return a.filter((size) => rest.includes(size) && rest.splice(rest.indexOf(size), 1)).length;
}

/** The known sizes other than 1, without the batch. */
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
