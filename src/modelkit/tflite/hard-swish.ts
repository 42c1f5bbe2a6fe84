/**
 * HARD_SWISH, x · min(max(x / 6 + 1/2, 0), 1), with the numbers of TensorFlow Lite.
 *
 * TensorFlow Lite computes it in 16-bit integers (reference/hard_swish.h), ONNX Runtime in floats. Up to three of the 256
 * bytes are so close to a tie that the results differ. A slope, a middle and a step that differ in their fifth digit move
 * only those bytes to the other side of the tie.
 */
import type { Quantization } from '../../model/onnx-graph.ts';

type Step = Pick<Quantization, 'scale' | 'zeroPoint'>;

/** Parameters of the formula x · min(max(slope · x + middle, 0), 1) ÷ step. */
export interface HardSwish {
  slope: number;
  middle: number;
  step: number;
}

/** The exact formula, with the output's own step. */
export const HARD_SWISH: HardSwish = { slope: 1 / 6, middle: 1 / 2, step: 1 };

/** Relative changes of each parameter that are tried, and the number of steps up and down. */
const REACHES = [1e-4, 2e-4, 4e-4];
const TRIES = 12;
/** Bytes farther than this from a tie, in steps, stay on their side. */
const NEAR = 0.1;
/** At this distance from a tie, in steps, floats round the same on all processors. */
const SAFE = 1e-3;

/** With the scales of real networks fewer bytes than this are on the wrong side. */
const MAX_MISSES = 16;

/** Parameters with which the formula rounds as in TensorFlow Lite, for all bytes or nearly all. */
export function hardSwishLike(input: Step, output: Step): HardSwish {
  const near = bytesNearTies(input, output);
  let best = { ...HARD_SWISH, step: output.scale };
  let fewest = misses(near, best.slope, best.middle, best.step, MAX_MISSES);
  if (fewest === MAX_MISSES) return best;
  for (const reach of REACHES) {
    const middles = around(HARD_SWISH.middle, reach);
    const steps = around(output.scale, reach);
    for (const slope of around(HARD_SWISH.slope, reach)) {
      for (const middle of middles) {
        for (const step of steps) {
          if (fewest === 0) return best;
          const found = misses(near, slope, middle, step, fewest);
          if (found < fewest) [fewest, best] = [found, { slope, middle, step }];
        }
      }
    }
  }
  return best;
}

/** An input, and the limits between which it rounds correctly, in steps from the zero point. */
interface Near {
  x: number;
  low: number;
  high: number;
}

/** Sorted by distance, the nearest first. */
function bytesNearTies(input: Step, output: Step): Near[] {
  const table = hardSwishTable(input, output);
  const found = [...table.keys()].flatMap((byte) => {
    const x = (byte - input.zeroPoint) * input.scale;
    const [low, high] = limits(table[byte]!, output);
    const value = at(x, HARD_SWISH.slope, HARD_SWISH.middle, output.scale);
    const room = Math.min(value - low, high - value);
    return room < NEAR ? [{ x, low, high, room }] : [];
  });
  return found.sort((a, b) => a.room - b.room);
}

/** Counts inputs that round differently or too close to a tie, up to `most`. */
function misses(near: readonly Near[], slope: number, middle: number, step: number, most: number): number {
  let count = 0;
  for (const { x, low, high } of near) {
    const value = at(x, slope, middle, step);
    if (!(value - low >= SAFE && high - value >= SAFE) && ++count === most) break;
  }
  return count;
}

function at(x: number, slope: number, middle: number, step: number): number {
  return (x * Math.min(Math.max(slope * x + middle, 0), 1)) / step;
}

function around(value: number, reach: number): number[] {
  return Array.from({ length: 2 * TRIES + 1 }, (_, index) =>
    Math.fround(value * (1 + (reach * (index - TRIES)) / TRIES)),
  );
}

/** The interval that rounds to a byte, in steps from the zero point. */
function limits(byte: number, { zeroPoint }: Step): [low: number, high: number] {
  return [byte === 0 ? -Infinity : byte - 0.5 - zeroPoint, byte === 255 ? Infinity : byte + 0.5 - zeroPoint];
}

/** TensorFlow Lite's output for each input byte. */
export function hardSwishTable(input: Step, output: Step): Uint8Array {
  const fine = Math.fround(Math.fround(1 / 128) * Math.fround(input.scale));
  const out = multiplier(Math.fround(fine / Math.fround(output.scale)));
  const gate = multiplier(Math.fround(fine / Math.fround(3 / 32768)));
  return Uint8Array.from({ length: 256 }, (_, byte) => {
    const x = (byte - input.zeroPoint) * 128;
    let open = x;
    if (gate.exponent > 0) open = within16(open * 2 ** (gate.exponent - 1));
    open = roundedHigh(open, gate.factor);
    if (gate.exponent > 0) open = within16(open * 2);
    if (gate.exponent < 0) open = shifted(open, -gate.exponent);
    open = (open + 32768) >> 1;
    const product = Math.trunc((open * roundedHigh(x, out.factor)) / 32768);
    return Math.max(0, Math.min(255, shifted(product, -out.exponent) + output.zeroPoint));
  });
}

/** A factor as 15 bits and a power of two. */
function multiplier(factor: number): { factor: number; exponent: number } {
  const exponent = Math.floor(Math.log2(factor)) + 1;
  const fixed = Math.round((factor / 2 ** exponent) * 2 ** 31);
  return { factor: Math.min(32767, (fixed + 32768) / 65536) | 0, exponent };
}

function within16(value: number): number {
  return Math.max(-32768, Math.min(32767, value));
}

/** The high half of a doubled 16-bit product, rounded. */
function roundedHigh(a: number, b: number): number {
  const product = a * b;
  return Math.trunc((product + (product >= 0 ? 16384 : -16383)) / 32768);
}

/** Divides by a power of two, with ties away from zero; multiplies if `bits` is negative. */
function shifted(value: number, bits: number): number {
  if (bits <= 0) return value * 2 ** -bits;
  const mask = 2 ** bits - 1;
  const rest = value & mask;
  return (value >> bits) + (rest > (mask >> 1) + (value < 0 ? 1 : 0) ? 1 : 0);
}
