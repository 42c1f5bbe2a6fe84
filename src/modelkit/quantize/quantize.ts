/**
 * Static post-training quantisation: a float model and some pictures in, QDQ models out.
 *
 *   float model ─▶ simplify ─▶ bytes in ─▶ observe ─▶ (equalise ─▶ observe) ─▶ correct biases ─▶ emit
 *                                             │                                                   ▲
 *                                             └── ranges by the best method, first layers real ───┘
 *
 * Every fourth picture is held back: on those the ways are compared, and the agreement is counted.
 */
import type { ModelDescription } from '../../model/description.ts';
import type { OnnxModel } from '../../model/onnx.ts';
import { type Candidate, emitCandidate, makeCandidate, type Variant, withRealInput } from './candidate.ts';
import { agreement, answerRatio, layerRatios, outputsOf } from './compare-answers.ts';
import { dequantized, isQuantized } from './dequantize.ts';
import type { Emitted, Target } from './emit.ts';
import { type FloatGraph, readFloatGraph, writeFloatGraph } from './float-graph.ts';
import { type PixelForm, takeBytes } from './input-pixels.ts';
import type { CalibrationInput, Statistics } from './observe.ts';
import { RANGE_METHODS, type RangeMethod } from './ranges.ts';
import { withoutRescaling } from './rescaling.ts';
import { simplify } from './simplify.ts';
import { equalise, type Layer, weightedLayers } from './weights.ts';

/** How a model was quantised, chosen by the least error of its answers. */
export interface Choice {
  ranges: RangeMethod;
  equalised: boolean;
  /** The first layers, which compute with real numbers, and their share of the multiply-adds. */
  real: { layers: string[]; share: number };
  /** Signal-to-noise ratio of the answers, in dB. */
  decibels: number;
}

export interface Quantized {
  models: Record<Target, { model: OnnxModel; input: PixelForm }>;
  /** Every way that was tried, the best first. */
  choices: Choice[];
  /** Pictures that were held back, and the share of them for which float and int8 agree on the first answer. */
  held: number;
  agreement: Record<Target, number>;
  /** Signal-to-noise ratio of every layer and of the answers, in dB. */
  layers: { name: string; decibels: number }[];
}

export interface QuantizeOptions {
  /** The output with the scores. */
  output: Pick<ModelDescription['output'], 'name' | 'kind'>;
  methods?: readonly RangeMethod[];
  /** Share of the multiply-adds that the first layers may spend on real numbers, 0…1; by default a tenth. */
  mostReal?: number;
  log?: (message: string) => void;
  /** Hears how much of the work is done, 0…1. */
  onProgress?: (share: number) => void;
}

const HOLD_EVERY = 4;
/** Pictures on which every layer is compared: all values are kept meanwhile. */
const LAYERS_ON = 2;
/** What a further layer in real numbers must gain. */
const LEAST_GAIN_DB = 0.5;
/** Share of the work that looking at the pictures takes, for each of the two candidates. */
const LOOKING = 0.4;

/**
 * @param model float, or quantised already, then its float form is quantised anew
 * @param input what the model wants to be fed
 * @param pictures uint8 1×H×W×C in the model's order of colours; a hundred or more
 * @throws Error when the graph is not understood
 */
export async function quantizeModel(
  model: OnnxModel,
  input: ModelDescription['input'],
  pictures: readonly Uint8Array[],
  { output, methods = RANGE_METHODS, mostReal = 0.1, log = () => {}, onProgress = () => {} }: QuantizeOptions,
): Promise<Quantized> {
  const { graph, form } = prepare(model, input);
  const inputs = pictures.map((picture) => elements(picture, form));
  const enough = inputs.length >= HOLD_EVERY;
  const held = enough ? inputs.filter((_, index) => index % HOLD_EVERY === 0) : inputs;
  const shown = enough ? inputs.filter((_, index) => index % HOLD_EVERY !== 0) : inputs;
  const float = writeFloatGraph(graph);
  const expected = await outputsOf(float, output, held);
  const found: Tried[] = [];
  const attempt = async (candidate: Candidate, manner: Variant, real: Choice['real']): Promise<Tried> => {
    const emitted = emitCandidate(candidate, manner, 'cpu');
    const decibels = answerRatio(expected, await outputsOf(emitted.model, output, held));
    const choice = { ranges: manner.ranges, equalised: candidate.equalised, real, decibels };
    log(describe(choice));
    const tried = { candidate, manner, emitted, choice };
    found.push(tried);
    return tried;
  };

  let statistics: ReadonlyMap<string, Statistics> | null = null;
  for (const equalised of [false, true]) {
    const seen = (share: number) => onProgress(LOOKING * (share + (equalised ? 1 : 0)));
    const source: FloatGraph = statistics ? equalise(graph, statistics) : graph;
    const candidate = await makeCandidate(source, equalised, shown, seen);
    statistics ??= candidate.statistics;
    for (const ranges of methods) await attempt(candidate, { ranges, real: new Set() }, NOTHING_REAL);
  }
  let best = bestOf(found);
  const weighted = weightedLayers(best.candidate.graph, best.candidate.statistics);
  for (const real of realStarts(weighted, mostReal)) {
    const tried = await attempt(best.candidate, { ...best.manner, real: new Set(real.layers) }, real);
    if (tried.choice.decibels > best.choice.decibels + LEAST_GAIN_DB) best = tried;
  }

  const { candidate, manner, emitted, choice } = best;
  const tensorrt = withRealInput(candidate, form);
  const models = {
    cpu: { model: emitted.model, input: form },
    tensorrt: { model: emitCandidate(tensorrt.candidate, manner, 'tensorrt').model, input: tensorrt.form },
  };
  const reals = held.map((one) => asFed(one, form, tensorrt.form));
  const agreed = {
    cpu: agreement(expected, await outputsOf(models.cpu.model, output, held)),
    tensorrt: agreement(expected, await outputsOf(models.tensorrt.model, output, reals)),
  };
  onProgress(1);
  const layers = await layerRatios(writeFloatGraph(candidate.graph), emitted, held.slice(0, LAYERS_ON));
  return {
    models,
    choices: [choice, ...others(found, best)],
    held: held.length,
    agreement: agreed,
    layers: [...layers, { name: output.name, decibels: choice.decibels }],
  };
}

interface Tried {
  candidate: Candidate;
  manner: Variant;
  emitted: Emitted;
  choice: Choice;
}

const NOTHING_REAL: Choice['real'] = { layers: [], share: 0 };

function bestOf(found: readonly Tried[]): Tried {
  return found.reduce((best, tried) => (tried.choice.decibels > best.choice.decibels ? tried : best));
}

function others(found: readonly Tried[], best: Tried): Choice[] {
  const rest = found.filter((tried) => tried !== best).map(({ choice }) => choice);
  return rest.sort((a, b) => b.decibels - a.decibels);
}

/**
 * The first layer, the first two and so on, while they are a small part of the work: rounding hurts most where few
 * channels carry the whole picture.
 */
function realStarts(layers: readonly Layer[], most: number): Choice['real'][] {
  const all = layers.reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0);
  const starts: Choice['real'][] = [];
  let share = 0;
  for (const [index, { multiplyAdds }] of layers.entries()) {
    share += multiplyAdds / all;
    if (share > most) break;
    starts.push({ layers: layers.slice(0, index + 1).map(({ name }) => name), share });
  }
  return starts;
}

function describe({ ranges, equalised, real, decibels }: Choice): string {
  const start = real.layers.length > 0 ? `, first ${real.layers.length} in float` : '';
  return `${ranges}${equalised ? ', equalised' : ''}${start}: answers within ${decibels.toFixed(1)} dB`;
}

function prepare(model: OnnxModel, input: ModelDescription['input']): { graph: FloatGraph; form: PixelForm } {
  const read = readFloatGraph(model);
  const float = simplify(isQuantized(read) ? dequantized(read) : read);
  const plain = withoutRescaling(float, input);
  return takeBytes(plain.graph, plain.form) ?? plain;
}

/** A picture as the elements that a model takes: (pixel − mean) × scale in its layout. */
function elements(picture: Uint8Array, { type, layout, channels, mean, scale }: PixelForm): CalibrationInput {
  const area = picture.length / channels;
  const limits = { float32: null, uint8: [0, 255], int8: [-128, 127] }[type] as [number, number] | null;
  const result =
    type === 'float32'
      ? new Float32Array(picture.length)
      : type === 'int8'
        ? new Int8Array(picture.length)
        : new Uint8Array(picture.length);
  for (let i = 0; i < picture.length; i++) {
    const channel = i % channels;
    const to = layout === 'nhwc' ? i : channel * area + (i - channel) / channels;
    const value = (picture[i]! - mean[channel]!) * scale[channel]!;
    result[to] = limits ? Math.max(limits[0], Math.min(limits[1], Math.round(value))) : value;
  }
  return result;
}

/** The input of one form as that of another: bytes become reals where the form for TensorRT wants those. */
function asFed(input: CalibrationInput, from: PixelForm, to: PixelForm): CalibrationInput {
  return from === to ? input : elements(input as Uint8Array, to);
}
