/** Orders channels so that no two neighbours have weights whose products are clipped. */
import { type Layer, MAX_PAIR_SUM } from './clipping-layers.ts';

/** Stands for a channel that no layer reads. */
export const FILLER = -1;

/** If two weights are too large together, at least one of them is larger than this. */
const LARGE = MAX_PAIR_SUM / 2;

/**
 * Returns the channels as a list of pairs. A channel without a suitable neighbour gets a filler.
 * @param layers all layers that sum over the channels
 * @param most maximum number of fillers; if more are needed, the result is null
 */
export function pairChannels(channels: number, layers: readonly Layer[], most: number): number[] | null {
  const columns = Array.from({ length: channels }, (_, channel) => columnOf(channel, layers));
  // Channels with many large weights are hard to pair, and fit best next to one with few.
  const sorted = [...columns.keys()].sort((a, b) => columns[b]!.large.length - columns[a]!.large.length);
  const hard = sorted.slice(0, channels >> 1);
  const easy = sorted.slice(channels >> 1).reverse();
  const fit = (a: number, b: number) =>
    fitBeside(columns[a]!, columns[b]!) && fitBeside(columns[b]!, columns[a]!);
  const partners = match(hard, easy, fit, hard.length - most / 2);
  if (!partners) return null;
  const taken = new Set(partners);
  const left = easy.filter((channel) => !taken.has(channel));
  return [
    ...hard.flatMap((channel, index) => [channel, partners[index] ?? FILLER]),
    ...left.flatMap((channel) => [channel, FILLER]),
  ];
}

/**
 * A maximum matching of two lists (Kuhn's algorithm).
 * @param least minimum number of pairs; if fewer exist, the result is null
 * @returns for each item of the first list its partner, or null
 */
function match(
  first: readonly number[],
  second: readonly number[],
  fit: (a: number, b: number) => boolean,
  least: number,
): (number | null)[] | null {
  /** For each item of the second list the index of its partner, or -1. */
  const takers = new Int32Array(second.length).fill(-1);
  const known = new Map<number, readonly number[]>();
  const choicesOf = (a: number) => {
    const choices = known.get(a) ?? [...second.keys()].filter((b) => fit(first[a]!, second[b]!));
    known.set(a, choices);
    return choices;
  };
  const takeFree = (a: number): boolean => {
    const b = takers.findIndex((taker, index) => taker < 0 && fit(first[a]!, second[index]!));
    if (b >= 0) takers[b] = a;
    return b >= 0;
  };
  const makeRoom = (a: number, seen: Set<number>): boolean =>
    choicesOf(a).some((b) => {
      if (seen.has(b)) return false;
      seen.add(b);
      const taker = takers[b]!;
      if (taker >= 0 && !takeFree(taker) && !makeRoom(taker, seen)) return false;
      takers[b] = a;
      return true;
    });
  let spare = first.length - least;
  for (const a of first.keys()) {
    if (takeFree(a) || makeRoom(a, new Set())) continue;
    spare--;
    if (spare < 0) return null;
  }
  const partners = new Array<number | null>(first.length).fill(null);
  for (const [b, a] of takers.entries()) if (a >= 0) partners[a] = second[b]!;
  return partners;
}

/** All weights that multiply a channel, and the indices of the large ones. */
interface Column {
  weights: Int8Array;
  large: readonly number[];
}

function columnOf(channel: number, layers: readonly Layer[]): Column {
  const weights = new Int8Array(layers.reduce((sum, { outputs, area }) => sum + outputs * area, 0));
  const large: number[] = [];
  let index = 0;
  for (const { ints, outputs, channels, area } of layers) {
    for (let output = 0; output < outputs; output++) {
      const from = (output * channels + channel) * area;
      for (let pixel = 0; pixel < area; pixel++) {
        const weight = ints[from + pixel]!;
        if (Math.abs(weight) > LARGE) large.push(index);
        weights[index++] = weight;
      }
    }
  }
  return { weights, large };
}

function fitBeside({ weights, large }: Column, other: Column): boolean {
  for (const index of large) {
    if (Math.abs(weights[index]! + other.weights[index]!) > MAX_PAIR_SUM) return false;
  }
  return true;
}
