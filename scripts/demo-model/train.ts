/** Trains a model of the MobileNet families on pictures, with ONNX Runtime doing the arithmetic. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Family } from '../../src/model/mobilenet.ts';
import { encodeModel, type OnnxModel } from '../../src/model/onnx.ts';
import { Random } from '../../src/platform/random.ts';
import { LABELS, type Sample } from './samples.ts';
import { EPSILON, type Parameter, type TrainingGraph, trainingGraph } from './training-graph.ts';

export interface TrainingOptions {
  batch: number;
  steps: number;
  /** Highest learning rate; it rises over the first steps and falls along a cosine. */
  rate: number;
  decay: number;
  seed: number;
  log: (message: string) => void;
}

/** Share of each target that is spread over all classes, against overconfidence (Szegedy et al. 2016). */
const SMOOTHING = 0.05;
/** Batches over which the final means and variances are measured. */
const SETTLING = 40;

/**
 * Trains `family` in place and folds the batch normalisation into its convolutions.
 * @param samples squares of the size that the model takes
 */
export async function train(
  family: Family,
  samples: readonly Sample[],
  options: TrainingOptions,
): Promise<void> {
  const { batch, steps, log } = options;
  const graph = trainingGraph(family.model, batch);
  const session = await InferenceSession.create(encodeModel(graph.model));
  const feeder = new Feeder(graph, samples, batch, options.seed);
  const adam = new Adam(graph.parameters, options.decay);
  let loss = 0;
  let hits = 0;
  for (let step = 1; step <= steps; step++) {
    const { feeds, labels } = feeder.next();
    const results = await session.run(feeds);
    const outcome = judge(results.probabilities!.data as Float32Array, labels);
    loss += outcome.loss;
    hits += outcome.hits;
    adam.step(results, options.rate * schedule(step, steps));
    if (step % 50 === 0) {
      log(`step ${step}: loss ${(loss / 50).toFixed(3)}, right ${((100 * hits) / 50 / batch).toFixed(1)} %`);
      loss = hits = 0;
    }
  }
  await fold(family.model, graph, session, feeder);
  await session.release();
}

/** Makes batches: shuffled, mirrored by chance. */
class Feeder {
  readonly #graph: TrainingGraph;
  readonly #samples: readonly Sample[];
  readonly #batch: number;
  readonly #random: Random;
  #order: number[] = [];

  constructor(graph: TrainingGraph, samples: readonly Sample[], batch: number, seed: number) {
    this.#graph = graph;
    this.#samples = samples;
    this.#batch = batch;
    this.#random = new Random(seed, 1);
  }

  next(): { feeds: Record<string, Tensor>; labels: number[] } {
    if (this.#order.length < this.#batch) this.#order = this.#random.shuffled([...this.#samples.keys()]);
    const chosen = this.#order.splice(0, this.#batch).map((index) => this.#samples[index]!);
    const bytes = chosen[0]!.pixels.length;
    const side = Math.sqrt(bytes / 3);
    const pixels = new Uint8Array(bytes * this.#batch);
    const targets = new Float32Array(LABELS.length * this.#batch).fill(SMOOTHING / LABELS.length);
    for (const [index, sample] of chosen.entries()) {
      pixels.set(this.#random.chance(0.5) ? mirrored(sample.pixels, side) : sample.pixels, index * bytes);
      targets[index * LABELS.length + sample.label]! += 1 - SMOOTHING;
    }
    const feeds: Record<string, Tensor> = {
      images: new Tensor('uint8', pixels, [this.#batch, side, side, 3]),
      targets: new Tensor('float32', targets, [this.#batch, LABELS.length, 1, 1]),
    };
    for (const { name, value, shape } of this.#graph.parameters)
      feeds[name] = new Tensor('float32', value, shape);
    return { feeds, labels: chosen.map(({ label }) => label) };
  }
}

function mirrored(pixels: Uint8Array, side: number): Uint8Array {
  const result = new Uint8Array(pixels.length);
  for (let i = 0; i < side * side; i++) {
    const x = i % side;
    const from = 3 * (i - x + side - 1 - x);
    result.set(pixels.subarray(from, from + 3), 3 * i);
  }
  return result;
}

function judge(probabilities: Float32Array, labels: number[]): { loss: number; hits: number } {
  let loss = 0;
  let hits = 0;
  for (const [index, label] of labels.entries()) {
    const row = probabilities.subarray(index * LABELS.length, (index + 1) * LABELS.length);
    loss -= Math.log(Math.max(1e-9, row[label]!)) / labels.length;
    if (row.indexOf(Math.max(...row)) === label) hits++;
  }
  return { loss, hits };
}

/** Linear rise over the first 5 %, then half a cosine down to nothing. */
function schedule(step: number, steps: number): number {
  const rise = steps * 0.05;
  return step < rise ? step / rise : 0.5 + 0.5 * Math.cos((Math.PI * (step - rise)) / (steps - rise));
}

/** Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019). */
class Adam {
  readonly #parameters: readonly Parameter[];
  readonly #decay: number;
  readonly #means: Float32Array[];
  readonly #squares: Float32Array[];
  #steps = 0;

  constructor(parameters: readonly Parameter[], decay: number) {
    this.#parameters = parameters;
    this.#decay = decay;
    this.#means = parameters.map(({ value }) => new Float32Array(value.length));
    this.#squares = parameters.map(({ value }) => new Float32Array(value.length));
  }

  step(gradients: InferenceSession.ReturnType, rate: number): void {
    this.#steps++;
    const correctMean = 1 - 0.9 ** this.#steps;
    const correctSquare = Math.sqrt(1 - 0.999 ** this.#steps);
    for (const [index, { value, gradient, decay }] of this.#parameters.entries()) {
      const slope = gradients[gradient]!.data as Float32Array;
      const mean = this.#means[index]!;
      const square = this.#squares[index]!;
      const shrink = decay ? 1 - rate * this.#decay : 1;
      for (let i = 0; i < value.length; i++) {
        const g = slope[i]!;
        mean[i] = 0.9 * mean[i]! + 0.1 * g;
        square[i] = 0.999 * square[i]! + 0.001 * g * g;
        const move = mean[i]! / correctMean / (Math.sqrt(square[i]!) / correctSquare + 1e-8);
        value[i] = value[i]! * shrink - rate * move;
      }
    }
  }
}

/**
 * Writes the trained weights into the inference graph, each batch normalisation multiplied into the convolution
 * before it, with means and variances averaged over some batches.
 */
async function fold(
  model: OnnxModel,
  graph: TrainingGraph,
  session: InferenceSession,
  feeder: Feeder,
): Promise<void> {
  const sums = new Map<string, Float64Array>();
  for (let round = 0; round < SETTLING; round++) {
    const results = await session.run(feeder.next().feeds);
    for (const name of graph.layers.flatMap(({ mean, variance }) => [mean, variance])) {
      const values = results[name]!.data as Float32Array;
      const sum = sums.get(name) ?? new Float64Array(values.length);
      values.forEach((value, i) => {
        sum[i]! += value / SETTLING;
      });
      sums.set(name, sum);
    }
  }
  const values = new Map(graph.parameters.map(({ name, value }) => [name, value]));
  const folded = new Map(values);
  for (const layer of graph.layers) {
    const weights = values.get(layer.weights)!.slice();
    const bias = new Float32Array(layer.channels);
    const perChannel = weights.length / layer.channels;
    for (let channel = 0; channel < layer.channels; channel++) {
      const deviation = Math.sqrt(sums.get(layer.variance)![channel]! + EPSILON);
      const factor = values.get(layer.gamma)![channel]! / deviation;
      for (let i = 0; i < perChannel; i++) weights[channel * perChannel + i]! *= factor;
      bias[channel] = values.get(layer.beta)![channel]! - sums.get(layer.mean)![channel]! * factor;
    }
    folded.set(layer.weights, weights).set(layer.bias, bias);
  }
  for (const tensor of model.graph.initializer) {
    const value = folded.get(tensor.name);
    if (value) tensor.rawData = new Uint8Array(value.buffer);
  }
}
