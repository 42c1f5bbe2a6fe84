/** Percentiles and confidence intervals. */
import { Random } from '../runtime/random.ts';

/** Summary of a series of durations, in the unit of the series. */
export interface Summary {
  count: number;
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/**
 * A figure with its 95 % confidence interval and its data: for each round (in its own process) the figures of its batches.
 */
export interface Estimate {
  value: number;
  low: number;
  high: number;
  rounds: number[][];
}

/** Number of bootstrap resamples of an interval. */
const RESAMPLES = 1000;
const TAIL = 0.025;

/** The smallest value that is not exceeded by a share `rank` of the series (nearest rank). NaN for an empty one. */
export function percentile(sorted: ArrayLike<number>, rank: number): number {
  const index = Math.max(0, Math.ceil(rank * sorted.length) - 1);
  return sorted[index] ?? Number.NaN;
}

export function median(series: readonly number[]): number {
  const sorted = Float64Array.from(series).sort();
  const middle = sorted.length / 2;
  if (!Number.isInteger(middle)) return sorted[Math.floor(middle)]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Null for an empty series. */
export function summarise(series: readonly number[]): Summary | null {
  if (series.length === 0) return null;
  const sorted = Float64Array.from(series).sort();
  return {
    count: sorted.length,
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    p50: percentile(sorted, 0.5),
    p90: percentile(sorted, 0.9),
    p99: percentile(sorted, 0.99),
    max: sorted.at(-1)!,
  };
}

/**
 * Cuts a series into `count` batches of neighbours, as even as possible: neighbours resemble each other, so that
 * intervals are drawn from batches and not from single values. Fewer batches if each would hold less than `least`.
 */
export function batches(series: readonly number[], count: number, least: number): number[][] {
  const parts = Math.max(1, Math.min(count, Math.floor(series.length / least)));
  const edge = (part: number) => Math.round((part * series.length) / parts);
  return Array.from({ length: parts }, (_, part) => series.slice(edge(part), edge(part + 1)));
}

/**
 * The median of all batches with its interval: a bootstrap that draws rounds, then batches within them (Davison and
 * Hinkley 1997, section 3.8), because processes differ more from each other than the batches of one. With a single
 * round the interval covers only the variation within that process. Null without any figures.
 */
export function estimate(rounds: readonly (readonly number[])[]): Estimate | null {
  const full = rounds.filter((round) => round.length > 0).map((round) => [...round]);
  if (full.length === 0) return null;
  const random = new Random(1);
  const drawn = Array.from({ length: RESAMPLES }, () => median(resample(full, random)));
  const { low, high } = interval(drawn);
  return { value: median(full.flat()), low, high, rounds: full };
}

/** The ratio of the medians of two estimates, `b` to `a`, with its interval. */
export function ratio(a: Estimate, b: Estimate): Omit<Estimate, 'rounds'> {
  const random = new Random(1);
  const drawn = Array.from(
    { length: RESAMPLES },
    () => median(resample(b.rounds, random)) / median(resample(a.rounds, random)),
  );
  return { value: b.value / a.value, ...interval(drawn) };
}

function resample(rounds: readonly (readonly number[])[], random: Random): number[] {
  return rounds.flatMap(() => {
    const round = random.pick(rounds);
    return round.map(() => random.pick(round));
  });
}

function interval(drawn: number[]): { low: number; high: number } {
  const sorted = Float64Array.from(drawn).sort();
  return { low: percentile(sorted, TAIL), high: percentile(sorted, 1 - TAIL) };
}

/** Of a straight line through the points (least squares). */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (axis: 0 | 1) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [mx, my] = [mean(0), mean(1)];
  let [above, below] = [0, 0];
  for (const [x, y] of points) {
    above += (x - mx) * (y - my);
    below += (x - mx) ** 2;
  }
  return above / below;
}
