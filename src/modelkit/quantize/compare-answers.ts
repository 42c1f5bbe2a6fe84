/** Compares a quantised model with its float form. */
import { scoresForLabels } from '../../model/answers.ts';
import type { ModelDescription } from '../../model/description.ts';
import { DataType, type OnnxModel } from '../../model/onnx.ts';
import type { Emitted } from './emit.ts';
import { type CalibrationInput, observe } from './observe.ts';

/** Power of the signal and of the difference. */
interface Powers {
  signal: number;
  noise: number;
}

/** Signal-to-noise ratio in decibels, at most 60, which means "no relevant difference". */
function decibels({ signal, noise }: Powers): number {
  return Math.min(60, 10 * Math.log10(Math.max(signal, 1e-30) / Math.max(noise, 1e-30)));
}

/** A model's scores for each input. A single number becomes two: the score against it, and the number itself. */
export async function outputsOf(
  model: OnnxModel,
  { name, kind }: Pick<ModelDescription['output'], 'name' | 'kind'>,
  inputs: readonly CalibrationInput[],
): Promise<Float32Array[]> {
  const answers: Float32Array[] = [];
  await observe(model, [name], inputs, (_, values) => {
    const answer = new Float32Array(Math.max(2, values.length));
    scoresForLabels(Float32Array.from(values), kind, answer);
    answers.push(answer);
  });
  return answers;
}

/**
 * Signal-to-noise ratio between two sets of scores, in dB. Probabilities are compared by their logarithms, so that
 * images with one clear result do not outweigh all others.
 */
export function answerRatio(expected: readonly Float32Array[], found: readonly Float32Array[]): number {
  const powers = { signal: 0, noise: 0 };
  for (const [index, row] of expected.entries()) add(powers, evidence(row), evidence(found[index]!));
  return decibels(powers);
}

/** Logits, or for probabilities their logarithms, which are the logits up to a common offset; with mean 0. */
function evidence(answers: Float32Array): Float32Array {
  const sum = answers.reduce((total, value) => total + value, 0);
  if (Math.abs(sum - 1) > 0.01 || answers.some((value) => value < 0)) return answers;
  const logarithms = answers.map((value) => Math.log(Math.max(value, LEAST_PROBABILITY)));
  const mean = logarithms.reduce((total, value) => total + value, 0) / logarithms.length;
  return logarithms.map((value) => value - mean);
}

/** Smaller probabilities are noise. */
const LEAST_PROBABILITY = 1e-6;

/** Share of the images for which both have the same top-1 class. */
export function agreement(expected: readonly Float32Array[], found: readonly Float32Array[]): number {
  const same = expected.filter((row, index) => indexOfMax(row) === indexOfMax(found[index]!));
  return same.length / expected.length;
}

/**
 * Signal-to-noise ratio of every quantised value compared with its float form, in graph order.
 * @param inputs only a few, because all their values are kept in memory
 */
export async function layerRatios(
  floatModel: OnnxModel,
  { model, ints, rounded: values }: Emitted,
  inputs: readonly CalibrationInput[],
): Promise<{ name: string; decibels: number }[]> {
  const expected = new Map(values.map((name) => [name, [] as Float32Array[]]));
  await observe(floatModel, values, inputs, (name, numbers) => {
    expected.get(name)!.push(Float32Array.from(numbers));
  });
  const ratios = new Map(values.map((name) => [name, { signal: 0, noise: 0 }]));
  const valueNames = new Map(values.map((name) => [ints.get(name)!.name, name]));
  const bytes = ints.get(values[0]!)!.quantization.type;
  const watch = (name: string, numbers: ArrayLike<number>) => {
    const value = valueNames.get(name)!;
    const { scale, zeroPoint } = ints.get(value)!.quantization;
    const found = Float32Array.from(numbers, (number) => (number - zeroPoint) * scale);
    add(ratios.get(value)!, expected.get(value)!.shift()!, found);
  };
  const type = bytes === 'uint8' ? DataType.uint8 : DataType.int8;
  await observe(model, [...valueNames.keys()], inputs, watch, type);
  return values.map((name) => ({ name, decibels: decibels(ratios.get(name)!) }));
}

function add(powers: Powers, expected: Float32Array, found: Float32Array): void {
  for (const [index, value] of expected.entries()) {
    powers.signal += value * value;
    powers.noise += (value - found[index]!) ** 2;
  }
}

function indexOfMax(values: Float32Array): number {
  let most = 0;
  for (const [index, value] of values.entries()) if (value > values[most]!) most = index;
  return most;
}
