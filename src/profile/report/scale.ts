/** Axes with round numbers on them. */

export interface Scale {
  /** Position of a value, 0…1. */
  at: (value: number) => number;
  ticks: number[];
}

/** Approximate number of intervals between ticks. */
const INTERVALS = 6;
/** Maximum number of ticks of a logarithmic axis. */
const MAX_TICKS = 12;

/**
 * @param values at least one
 * @param kind `zero`: from 0; `near`: from just below the smallest value; `log`: each step is the same factor
 */
export function scaleOf(values: readonly number[], kind: 'zero' | 'near' | 'log'): Scale {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (kind === 'log' && low > 0) return logarithmic(low, high);
  return linear(kind === 'near' ? low : Math.min(0, low), high);
}

function linear(low: number, high: number): Scale {
  const range = high - low || Math.abs(high) || 1;
  const step = roundUp(range / INTERVALS);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
  return { at: (value) => (value - first * step) / ((last - first) * step), ticks };
}

function logarithmic(low: number, high: number): Scale {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high) + 1e-9)];
  const powers = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
  const all = powers.flatMap((power) => [power, 2 * power, 5 * power]);
  const begin = all.findLast((tick) => tick <= low) ?? all[0]!;
  const end = all.find((tick) => tick >= high && tick > begin) ?? all.at(-1)!;
  const used = all.filter((tick) => tick >= begin && tick <= end);
  const ticks = used.length <= MAX_TICKS ? used : used.filter((tick) => powers.includes(tick));
  return { at: (value) => Math.log(value / begin) / Math.log(end / begin), ticks };
}

/** The next of 1, 2, 2.5, 5 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value - 1e-12)!;
}
