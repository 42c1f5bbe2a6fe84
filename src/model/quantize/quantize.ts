/**
 * Static post-training quantisation: a float model and some pictures in, QDQ models out.
 *
 *   float model ─▶ simplify ─▶ bytes in ─▶ observe ─▶ (equalise ─▶ observe) ─▶ correct biases ─▶ emit
 *                                             │                                                   ▲
 *                                             └────────────── ranges by the best method ──────────┘
 */
import type { ModelDescription } from '../description.ts';
import type { OnnxModel } from '../onnx.ts';
import { agreement, answerRatio, layerRatios, outputsOf } from './compare.ts';
import { dequantized, isQuantized } from './dequantize.ts';
import { type Emitted, emitQuantized, type Target } from './emit.ts';
import { type FloatGraph, readFloatGraph, writeFloatGraph } from './float-graph.ts';
import { gather, type ModelInput, type Statistics } from './observe.ts';
import { type PixelForm, takeBytes, takeReals } from './pixels.ts';
import { planQuantization, type Step, scaledValues, weightedInputs } from './plan.ts';
import { chooseRange, RANGE_METHODS, type RangeMethod } from './ranges.ts';
import { simplify } from './simplify.ts';
import { correctBiases, equalise } from './weights.ts';

/** How a model was quantised, chosen by the least error of its answers. */
export interface Choice {
  ranges: RangeMethod;
  equalised: boolean;
  /** Signal-to-noise ratio of the answers, in dB. */
  decibels: number;
}

export interface Quantized {
  models: Record<Target, { model: OnnxModel; input: PixelForm }>;
  /** Every way that was tried, the best first. */
  choices: Choice[];
  /** Share of the pictures for which float and int8 (cpu) agree on the first answer. */
  agreement: number;
  /** Signal-to-noise ratio of every layer, in dB. */
  layers: { name: string; decibels: number }[];
}

export interface QuantizeOptions {
  /** Name of the output with the scores. */
  output: string;
  methods?: readonly RangeMethod[];
  log?: (message: string) => void;
}

/** Pictures on which the ways are compared, and on which every layer is: both take memory and time. */
const TRIED_ON = 48;
const LAYERS_ON = 2;

/**
 * @param model float, or quantised already, then its float form is quantised anew
 * @param input what the model wants to be fed
 * @param pictures uint8 1×H×W×3 in the model's order of colours; a hundred or more
 * @throws Error when the graph is not understood
 */
export async function quantizeModel(
  model: OnnxModel,
  input: ModelDescription['input'],
  pictures: readonly Uint8Array[],
  { output, methods = RANGE_METHODS, log = () => {} }: QuantizeOptions,
): Promise<Quantized> {
  const { graph, form } = prepare(model, input);
  const inputs = pictures.map((picture) => elements(picture, form));
  const tried = inputs.slice(0, TRIED_ON);
  const float = writeFloatGraph(graph);
  const expected = await outputsOf(float, output, tried);

  let best: { choice: Choice; emitted: Emitted; candidate: Candidate } | null = null;
  const choices: Choice[] = [];
  let statistics: ReadonlyMap<string, Statistics> | null = null;
  for (const equalised of [false, true]) {
    const candidate = await makeCandidate(equalised ? equalise(graph, statistics!) : graph, inputs);
    statistics ??= candidate.statistics;
    for (const method of methods) {
      const emitted = emit(candidate, method, 'cpu');
      const ratio = answerRatio(expected, await outputsOf(emitted.model, output, tried));
      const choice = { ranges: method, equalised, decibels: ratio };
      log(`${method}${equalised ? ', equalised' : ''}: answers within ${ratio.toFixed(1)} dB`);
      choices.push(choice);
      if (!best || ratio > best.choice.decibels) best = { choice, emitted, candidate };
    }
  }
  const { choice, emitted, candidate } = best!;
  const found = await outputsOf(emitted.model, output, inputs);
  const compared = { float: inputs.slice(0, LAYERS_ON), whole: inputs.slice(0, LAYERS_ON) };
  const values = candidate.steps.flatMap((step) => (step.kind === 'integer' ? [step.output] : []));
  return {
    models: {
      cpu: { model: emitted.model, input: form },
      tensorrt: forTensorRt(candidate, choice.ranges, form),
    },
    choices: choices.sort((a, b) => b.decibels - a.decibels),
    agreement: agreement(await outputsOf(float, output, inputs), found),
    layers: await layerRatios(writeFloatGraph(candidate.graph), emitted, values, compared),
  };
}

/** A float graph with everything that is known about its values. */
interface Candidate {
  graph: FloatGraph;
  steps: Step[];
  statistics: ReadonlyMap<string, Statistics>;
}

async function makeCandidate(graph: FloatGraph, inputs: readonly ModelInput[]): Promise<Candidate> {
  const steps = planQuantization(graph);
  const values = [...new Set([...scaledValues(graph, steps), ...weightedInputs(steps)])];
  return { graph, steps, statistics: await gather(writeFloatGraph(graph), values, inputs) };
}

function emit({ graph, steps, statistics }: Candidate, method: RangeMethod, target: Target): Emitted {
  const ranges = new Map([...statistics].map(([name, seen]) => [name, chooseRange(seen, method)]));
  const corrected = correctBiases(graph, statistics);
  const renewed = new Map(graph.nodes.map((node, index) => [node, corrected.nodes[index]!]));
  const again = steps.map((step): Step => ({ ...step, node: renewed.get(step.node)! }));
  return emitQuantized(corrected, again, ranges, target);
}

/** TensorRT takes no uint8: its form of the model takes real numbers, scaled by whoever feeds it. */
function forTensorRt(candidate: Candidate, method: RangeMethod, form: PixelForm) {
  const reals = takeReals(candidate.graph, form);
  const { model } = emit(
    { ...candidate, graph: reals.graph, steps: planQuantization(reals.graph) },
    method,
    'tensorrt',
  );
  return { model, input: reals.form };
}

function prepare(model: OnnxModel, input: ModelDescription['input']): { graph: FloatGraph; form: PixelForm } {
  const read = readFloatGraph(model);
  const float = simplify(isQuantized(read) ? dequantized(read) : read);
  return takeBytes(float, input) ?? { graph: float, form: input };
}

/** A picture as the elements that a model takes: (pixel − mean) × scale in its layout. */
function elements(picture: Uint8Array, { type, layout, mean, scale }: PixelForm): ModelInput {
  const area = picture.length / 3;
  const result =
    type === 'float32'
      ? new Float32Array(picture.length)
      : type === 'int8'
        ? new Int8Array(picture.length)
        : new Uint8Array(picture.length);
  for (let i = 0; i < picture.length; i++) {
    const channel = i % 3;
    const to = layout === 'nhwc' ? i : channel * area + (i - channel) / 3;
    result[to] = (picture[i]! - mean[channel]!) * scale[channel]!;
  }
  return result;
}
