/**
 * Weights of separable resampling filters: which source samples make up each output sample, and how much of each.
 * Coordinates are continuous: sample i covers i…i+1, its centre is i+0.5.
 */
import { COLUMN_UNIT, PIXEL_BLOCK, ROW_BLOCK, ROW_UNIT, TAP_BLOCK } from './kernels.ts';

/** An interval `from`…`to` of a line of `size` samples, mapped to `count` output samples. */
export interface Span {
  size: number;
  from: number;
  to: number;
  count: number;
}

/** For each output sample the source samples `starts`, `starts` + 1… that it is made of. */
export interface Taps {
  /** Output samples. */
  count: number;
  /** First source sample and number of source samples of each. */
  starts: Int32Array;
  lengths: Int32Array;
  /** The largest of `lengths`, at most. */
  reach: number;
  /** Weights of output sample n from n × reach on; they add up to 1. */
  weights: Float64Array;
}

/** Weights below this are rounding noise at the edge of a filter. */
const NEGLIGIBLE = 1e-6;

/**
 * Linear interpolation when enlarging; when shrinking, the triangle grows with the shrink factor so that every
 * source sample counts (like Pillow's BILINEAR and torchvision's `antialias=True`). Samples outside the interval but
 * inside the line also count, so that a crop equals the same part of the entire frame.
 */
export function triangleTaps(span: Span): Taps {
  const support = Math.max(1, (span.to - span.from) / span.count);
  return taps(span, support, (offset) => 1 - Math.abs(offset) / support);
}

/** The average over each output sample's own interval of the line. */
export function boxTaps(span: Span): Taps {
  const half = (span.to - span.from) / span.count / 2;
  return taps(span, half + 0.5, (offset) => Math.min(1, 2 * half, half + 0.5 - Math.abs(offset)));
}

function taps({ size, from, to, count }: Span, support: number, weigh: (offset: number) => number): Taps {
  const scale = (to - from) / count;
  const reach = Math.ceil(2 * support) + 1;
  const starts = new Int32Array(count);
  const lengths = new Int32Array(count);
  const weights = new Float64Array(count * reach);
  for (let index = 0; index < count; index++) {
    const centre = from + (index + 0.5) * scale;
    const last = Math.min(size - 1, Math.floor(centre + support - 0.5));
    let start = Math.max(0, Math.ceil(centre - support - 0.5));
    if (start < last && weigh(start + 0.5 - centre) < NEGLIGIBLE) start++;
    let length = 0;
    let sum = 0;
    for (let sample = start; sample <= last; sample++) {
      const weight = weigh(sample + 0.5 - centre);
      if (weight < NEGLIGIBLE && length > 0) break;
      weights[index * reach + length++] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < length; tap++) weights[index * reach + tap]! /= sum;
    starts[index] = start;
    lengths[index] = length;
  }
  return { count, starts, lengths, reach, weights };
}

/** The weights of output sample `index` as integers that add up to exactly `unit`. */
function quantise({ lengths, reach, weights }: Taps, index: number, unit: number, into: Int32Array): void {
  let rest = unit;
  let largest = 0;
  for (let tap = 0; tap < lengths[index]!; tap++) {
    const whole = Math.round(weights[index * reach + tap]! * unit);
    into[tap] = whole;
    rest -= whole;
    if (whole > into[largest]!) largest = tap;
  }
  into[largest]! += rest;
}

/** Weights for the kernel `filterColumns`, in the order of `taps.weights`. */
export function columnWeights(taps: Taps): Int16Array<ArrayBuffer> {
  const result = new Int16Array(taps.count * taps.reach);
  const whole = new Int32Array(taps.reach);
  for (let index = 0; index < taps.count; index++) {
    quantise(taps, index, COLUMN_UNIT, whole);
    for (let tap = 0; tap < taps.lengths[index]!; tap++) result[index * taps.reach + tap] = whole[tap]!;
  }
  return result;
}

/**
 * Tables for the kernel `filterRow`, padded with zeros to a full PIXEL_BLOCK of samples.
 * `length` is the number of weights of each sample, zeros included.
 * @param first source sample at the start of the row
 * @param step distance between neighbouring samples in the row, for rows of interleaved channels
 */
export function rowTables(taps: Taps, first: number, step: number) {
  const longest = taps.lengths.reduce((a, b) => Math.max(a, b));
  const length = Math.ceil(((longest - 1) * step + 1) / TAP_BLOCK) * TAP_BLOCK;
  const count = Math.ceil(taps.count / PIXEL_BLOCK) * PIXEL_BLOCK;
  const starts = new Int32Array(count);
  const weights = new Int16Array(count * length);
  const whole = new Int32Array(taps.reach);
  for (let index = 0; index < taps.count; index++) {
    starts[index] = (taps.starts[index]! - first) * step * 2;
    quantise(taps, index, ROW_UNIT, whole);
    const inGroup = index % ROW_BLOCK;
    const group = (index - inGroup) * length + inGroup * TAP_BLOCK;
    for (let tap = 0; tap < taps.lengths[index]!; tap++) {
      const place = tap * step;
      const inBlock = place % TAP_BLOCK;
      weights[group + (place - inBlock) * ROW_BLOCK + inBlock] = whole[tap]!;
    }
  }
  return { starts, weights, length };
}
