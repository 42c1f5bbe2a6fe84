/** Chooses the range of floats that the integers of a value cover. */
import type { Quantization } from '../../model/onnx-graph.ts';
import type { Statistics } from './observe.ts';

/** Smallest and largest float. */
export interface Range {
  min: number;
  max: number;
}

/**
 * `minmax` covers all observed values, `percentile` all but the outermost 0.01 % on each side, `mse` the range with the
 * smallest squared error of rounding and clipping together.
 */
export type RangeMethod = 'minmax' | 'percentile' | 'mse';
export const RANGE_METHODS: readonly RangeMethod[] = ['minmax', 'percentile', 'mse'];

const TAIL = 1e-4;
/** `mse` tries ranges down to this share of the observed one, in steps. */
const NARROWEST = 0.3;
const STEPS = 36;

export function chooseRange(statistics: Statistics, method: RangeMethod): Range {
  const { min, max } = statistics;
  if (method === 'minmax' || max <= min) return { min, max };
  return method === 'percentile' ? withoutTails(statistics) : leastError(statistics);
}

/** uint8 for a range; 0 is represented exactly. */
export function asymmetric({ min, max }: Range): Quantization {
  const low = Math.min(0, min);
  const high = Math.max(0, max, low + 1e-6);
  const scale = (high - low) / 255;
  return { scale, zeroPoint: Math.round(-low / scale) + 0, type: 'uint8' };
}

/** int8 for a range, −127…127 with zero point 0. */
export function symmetric({ min, max }: Range): Quantization {
  return { scale: Math.max(-min, max, 1e-6) / 127, zeroPoint: 0, type: 'int8' };
}

function withoutTails({ min, max, histogram }: Statistics): Range {
  const width = (max - min) / histogram.length;
  const tail = TAIL * histogram.reduce((sum, count) => sum + count, 0);
  let low = 0;
  for (let left = tail; low < histogram.length && histogram[low]! <= left; low++) left -= histogram[low]!;
  let high = histogram.length;
  for (let left = tail; high > low + 1 && histogram[high - 1]! <= left; high--) left -= histogram[high - 1]!;
  return { min: min + low * width, max: min + high * width };
}

function leastError({ min, max, histogram }: Statistics): Range {
  const width = (max - min) / histogram.length;
  let best: Range = { min, max };
  let least = Infinity;
  for (let step = 0; step < STEPS; step++) {
    const share = 1 - (step / STEPS) * (1 - NARROWEST);
    const range = { min: min * share, max: max * share };
    const { scale, zeroPoint } = asymmetric(range);
    let error = 0;
    for (const [bin, count] of histogram.entries()) {
      if (count === 0) continue;
      const value = min + (bin + 0.5) * width;
      const int = Math.max(0, Math.min(255, Math.round(value / scale) + zeroPoint));
      error += count * (value - (int - zeroPoint) * scale) ** 2;
    }
    if (error < least) [least, best] = [error, range];
  }
  return best;
}
