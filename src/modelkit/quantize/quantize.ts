/**
 * Static post-training quantisation: from a float model and calibration images to QDQ models.
 *
 *   float model ─▶ simplify ─▶ byte input ─▶ observe ─▶ (equalise ─▶ observe) ─▶ correct biases ─▶ emit
 *                                               │                                                   ▲
 *                                               └── ranges by the best method, first layers float ──┘
 *
 * Every fourth image is a holdout: on those the variants are compared, and the agreement is measured.
 */
import type { ModelDescription } from '../../model/description.ts';
import type { OnnxModel } from '../../model/onnx.ts';
import { type Candidate, emitCandidate, makeCandidate, type Variant, withFloatInput } from './candidate.ts';
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

/** How a model was quantised; the best choice has the smallest error of its scores. */
export interface Choice {
  ranges: RangeMethod;
  equalised: boolean;
  /** The first layers, which compute in floats, and their share of the multiply-adds. */
  float: { layers: string[]; share: number };
  /** Signal-to-noise ratio of the scores, in dB. */
  decibels: number;
}

export interface Quantized {
  models: Record<Target, { model: OnnxModel; input: PixelForm }>;
  /** Every variant that was tried, the best first. */
  choices: Choice[];
  /** Number of holdout images, and the share of them for which float and int8 have the same top-1 class. */
  holdout: number;
  agreement: Record<Target, number>;
  /** Signal-to-noise ratio of every layer and of the scores, in dB. */
  layers: { name: string; decibels: number }[];
}

export interface QuantizeOptions {
  /** The output with the scores. */
  output: Pick<ModelDescription['output'], 'name' | 'kind'>;
  methods?: readonly RangeMethod[];
  /** Share of the multiply-adds that the first layers may compute in floats, 0…1; by default a tenth. */
  maxFloatShare?: number;
  log?: (message: string) => void;
  /** Called with the share of the work that is done, 0…1. */
  onProgress?: (share: number) => void;
}

const HOLDOUT_EVERY = 4;
/** Images on which every layer is compared; few, because all their values are kept in memory. */
const LAYER_IMAGES = 2;
/** Minimum gain of another float layer. */
const MIN_GAIN_DB = 0.5;
/** Share of the work for observing the images, for each of the two candidates. */
const OBSERVING = 0.4;

/**
 * @param model a float model, or a quantised one, whose float form is then quantised again
 * @param input the model's input
 * @param images uint8 1×H×W×C in the model's order of colours; a hundred or more
 * @throws Error if the graph is not supported
 */
export async function quantizeModel(
  model: OnnxModel,
  input: ModelDescription['input'],
  images: readonly Uint8Array[],
  {
    output,
    methods = RANGE_METHODS,
    maxFloatShare = 0.1,
    log = () => {},
    onProgress = () => {},
  }: QuantizeOptions,
): Promise<Quantized> {
  const { graph, form } = prepare(model, input);
  const inputs = images.map((image) => elements(image, form));
  const enough = inputs.length >= HOLDOUT_EVERY;
  const holdout = enough ? inputs.filter((_, index) => index % HOLDOUT_EVERY === 0) : inputs;
  const calibration = enough ? inputs.filter((_, index) => index % HOLDOUT_EVERY !== 0) : inputs;
  const expected = await outputsOf(writeFloatGraph(graph), output, holdout);
  const found: Tried[] = [];
  const attempt = async (candidate: Candidate, variant: Variant, float: Choice['float']): Promise<Tried> => {
    const emitted = emitCandidate(candidate, variant, 'cpu');
    const decibels = answerRatio(expected, await outputsOf(emitted.model, output, holdout));
    const choice = { ranges: variant.ranges, equalised: candidate.equalised, float, decibels };
    log(describe(choice));
    const tried = { candidate, variant, emitted, choice };
    found.push(tried);
    return tried;
  };

  let statistics: ReadonlyMap<string, Statistics> | null = null;
  for (const equalised of [false, true]) {
    const observed = (share: number) => onProgress(OBSERVING * (share + (equalised ? 1 : 0)));
    const source: FloatGraph = statistics ? equalise(graph, statistics) : graph;
    const candidate = await makeCandidate(source, equalised, calibration, observed);
    statistics ??= candidate.statistics;
    for (const ranges of methods) await attempt(candidate, { ranges, float: new Set() }, NO_FLOAT_LAYERS);
  }
  let best = bestOf(found);
  const weighted = weightedLayers(best.candidate.graph, best.candidate.statistics);
  for (const float of floatPrefixes(weighted, maxFloatShare)) {
    const tried = await attempt(best.candidate, { ...best.variant, float: new Set(float.layers) }, float);
    if (tried.choice.decibels > best.choice.decibels + MIN_GAIN_DB) best = tried;
  }

  const { candidate, variant, emitted, choice } = best;
  const tensorrt = withFloatInput(candidate, form);
  const models = {
    cpu: { model: emitted.model, input: form },
    tensorrt: { model: emitCandidate(tensorrt.candidate, variant, 'tensorrt').model, input: tensorrt.form },
  };
  const tensorrtHoldout = holdout.map((one) => convertInput(one, form, tensorrt.form));
  const agreed = {
    cpu: agreement(expected, await outputsOf(models.cpu.model, output, holdout)),
    tensorrt: agreement(expected, await outputsOf(models.tensorrt.model, output, tensorrtHoldout)),
  };
  onProgress(1);
  const layers = await layerRatios(writeFloatGraph(candidate.graph), emitted, holdout.slice(0, LAYER_IMAGES));
  return {
    models,
    choices: [choice, ...others(found, best)],
    holdout: holdout.length,
    agreement: agreed,
    layers: [...layers, { name: output.name, decibels: choice.decibels }],
  };
}

interface Tried {
  candidate: Candidate;
  variant: Variant;
  emitted: Emitted;
  choice: Choice;
}

const NO_FLOAT_LAYERS: Choice['float'] = { layers: [], share: 0 };

function bestOf(found: readonly Tried[]): Tried {
  return found.reduce((best, tried) => (tried.choice.decibels > best.choice.decibels ? tried : best));
}

function others(found: readonly Tried[], best: Tried): Choice[] {
  const rest = found.filter((tried) => tried !== best).map(({ choice }) => choice);
  return rest.sort((a, b) => b.decibels - a.decibels);
}

/**
 * The first layer, the first two layers and so on, while they are a small part of the work: rounding costs most where
 * few channels carry the complete image.
 */
function floatPrefixes(layers: readonly Layer[], maxShare: number): Choice['float'][] {
  const all = layers.reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0);
  const prefixes: Choice['float'][] = [];
  let share = 0;
  for (const [index, { multiplyAdds }] of layers.entries()) {
    share += multiplyAdds / all;
    if (share > maxShare) break;
    prefixes.push({ layers: layers.slice(0, index + 1).map(({ name }) => name), share });
  }
  return prefixes;
}

function describe({ ranges, equalised, float, decibels }: Choice): string {
  const count = float.layers.length;
  const prefix = count > 0 ? `, first ${count === 1 ? 'layer' : `${count} layers`} in float` : '';
  return `${ranges}${equalised ? ', equalised' : ''}${prefix}: signal-to-noise ratio ${decibels.toFixed(1)} dB`;
}

function prepare(model: OnnxModel, input: ModelDescription['input']): { graph: FloatGraph; form: PixelForm } {
  const read = readFloatGraph(model);
  const float = simplify(isQuantized(read) ? dequantized(read) : read);
  const plain = withoutRescaling(float, input);
  return takeBytes(plain.graph, plain.form) ?? plain;
}

/** Converts an image to a model's input: (pixel − mean) × scale, in its layout. */
function elements(image: Uint8Array, { type, layout, channels, mean, scale }: PixelForm): CalibrationInput {
  const area = image.length / channels;
  const limits = { float32: null, uint8: [0, 255], int8: [-128, 127] }[type] as [number, number] | null;
  const result =
    type === 'float32'
      ? new Float32Array(image.length)
      : type === 'int8'
        ? new Int8Array(image.length)
        : new Uint8Array(image.length);
  for (let i = 0; i < image.length; i++) {
    const channel = i % channels;
    const to = layout === 'nhwc' ? i : channel * area + (i - channel) / channels;
    const value = (image[i]! - mean[channel]!) * scale[channel]!;
    result[to] = limits ? Math.max(limits[0], Math.min(limits[1], Math.round(value))) : value;
  }
  return result;
}

/** Converts the input of one form to that of another: the form for TensorRT may need floats instead of bytes. */
function convertInput(input: CalibrationInput, from: PixelForm, to: PixelForm): CalibrationInput {
  return from === to ? input : elements(input as Uint8Array, to);
}
