/**
 * Weights of separable resampling filters: which source samples make up each output sample, and how much of each.
 * Coordinates are continuous: sample i covers i…i+1, its centre is i+0.5.
 */
import { COLUMN_UNIT, PIXEL_BLOCK, ROW_BLOCK, ROW_UNIT, TAP_BLOCK } from './kernels.ts';

/** One output sample: source samples `start`, `start + 1`… with their weights, which add up to 1. */
export interface Taps {
  start: number;
  weights: number[];
}

/** A stretch `from`…`to` of a line of `size` samples, mapped to `count` output samples. */
export interface Span {
  size: number;
  from: number;
  to: number;
  count: number;
}

/** Weights below this are rounding noise at the edge of a filter. */
const NEGLIGIBLE = 1e-6;

/**
 * Linear interpolation when enlarging; when shrinking, the triangle grows with the shrink factor so that every
 * source sample counts (as Pillow's BILINEAR and torchvision's `antialias=True` do). Samples outside the stretch
 * but inside the line count too, so that a crop equals the same part of the whole picture.
 */
export function triangleTaps(span: Span): Taps[] {
  const scale = (span.to - span.from) / span.count;
  const support = Math.max(1, scale);
  return taps(span, support, (offset) => 1 - Math.abs(offset) / support);
}

/** The average over each output sample's own stretch of the line. */
export function boxTaps(span: Span): Taps[] {
  const half = (span.to - span.from) / span.count / 2;
  return taps(span, half + 0.5, (offset) => Math.min(1, 2 * half, half + 0.5 - Math.abs(offset)));
}

function taps(span: Span, support: number, weigh: (offset: number) => number): Taps[] {
  const scale = (span.to - span.from) / span.count;
  return Array.from({ length: span.count }, (_, index) => {
    const centre = span.from + (index + 0.5) * scale;
    const last = Math.min(span.size - 1, Math.floor(centre + support - 0.5));
    let start = Math.max(0, Math.ceil(centre - support - 0.5));
    if (weigh(start + 0.5 - centre) < NEGLIGIBLE && start < last) start++;
    const weights = [];
    let sum = 0;
    for (let sample = start; sample <= last; sample++) {
      const weight = weigh(sample + 0.5 - centre);
      if (weight < NEGLIGIBLE && sum > 0) break;
      weights.push(weight);
      sum += weight;
    }
    return { start, weights: weights.map((weight) => weight / sum) };
  });
}

/** Whole numbers in the proportion of `weights` that add up to exactly `unit`. */
function quantise(weights: number[], unit: number): number[] {
  const whole = weights.map((weight) => Math.round(weight * unit));
  const largest = whole.indexOf(Math.max(...whole));
  whole[largest]! += unit - whole.reduce((a, b) => a + b, 0);
  return whole;
}

/** The weights of all rows, one after the other, for the kernel `filterColumns`. */
export function columnWeights(taps: Taps[]): Int16Array<ArrayBuffer> {
  return Int16Array.from(taps.flatMap(({ weights }) => quantise(weights, COLUMN_UNIT)));
}

/**
 * Tables for the kernel `filterRow`, with zeros up to a whole PIXEL_BLOCK of samples.
 * `length` is the number of weights of each sample, zeros included.
 * @param first source sample that the row begins with
 * @param step distance of neighbouring samples in the row, for rows of interleaved channels
 */
export function rowTables(taps: Taps[], first: number, step: number) {
  const reach = Math.max(...taps.map(({ weights }) => (weights.length - 1) * step + 1));
  const length = Math.ceil(reach / TAP_BLOCK) * TAP_BLOCK;
  const count = Math.ceil(taps.length / PIXEL_BLOCK) * PIXEL_BLOCK;
  const starts = new Int32Array(count);
  const weights = new Int16Array(count * length);
  for (const [index, tap] of taps.entries()) {
    starts[index] = (tap.start - first) * step * 2;
    const group = index - (index % ROW_BLOCK);
    for (const [number, weight] of quantise(tap.weights, ROW_UNIT).entries()) {
      const place = number * step;
      const block = (place - (place % TAP_BLOCK)) * ROW_BLOCK;
      weights[group * length + block + (index % ROW_BLOCK) * TAP_BLOCK + (place % TAP_BLOCK)] = weight;
    }
  }
  return { starts, weights, length };
}
