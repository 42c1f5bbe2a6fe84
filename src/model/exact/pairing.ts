/** Puts channels in an order in which no two neighbours have weights whose products are clipped. */
import { type Layer, MOST } from './clipping-layers.ts';

/** Stands for a channel that no layer looks at. */
export const FILLER = -1;

/** Of two weights that are too large together, one at least is larger than this. */
const LARGE = MOST / 2;

/**
 * Channels in pairs: every second one is the neighbour of the one before. What finds no neighbour gets a filler.
 * @param layers all that add over the channels
 * @param most fillers that are worth it; more of them give null
 */
export function pairChannels(channels: number, layers: readonly Layer[], most: number): number[] | null {
  const columns = Array.from({ length: channels }, (_, channel) => columnOf(channel, layers));
  // Those with many large weights are hard to find a neighbour for, and best beside one with few.
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
 * A largest set of pairs of one from each list (Kuhn's algorithm).
 * @param least pairs; fewer of them give null
 * @returns for each of the first list its partner, or null
 */
function match(
  first: readonly number[],
  second: readonly number[],
  fit: (a: number, b: number) => boolean,
  least: number,
): (number | null)[] | null {
  /** For each of the second list the index of its partner, or -1. */
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

/** All weights that multiply a channel, and where the large ones are. */
interface Column {
  weights: Int8Array;
  large: readonly number[];
}

function columnOf(channel: number, layers: readonly Layer[]): Column {
  const weights = new Int8Array(layers.reduce((sum, { outputs, area }) => sum + outputs * area, 0));
  const large: number[] = [];
  let index = 0;
  for (const { whole, outputs, channels, area } of layers) {
    for (let output = 0; output < outputs; output++) {
      const from = (output * channels + channel) * area;
      for (let pixel = 0; pixel < area; pixel++) {
        const weight = whole[from + pixel]!;
        if (Math.abs(weight) > LARGE) large.push(index);
        weights[index++] = weight;
      }
    }
  }
  return { weights, large };
}

function fitBeside({ weights, large }: Column, other: Column): boolean {
  for (const index of large) {
    if (Math.abs(weights[index]! + other.weights[index]!) > MOST) return false;
  }
  return true;
}
