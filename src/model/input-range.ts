/** The common input ranges of float models: what the levels 0…255 become. */
import type { ModelDescription } from './description.ts';

export const INPUT_RANGES = ['-1..1', '0..1', '0..255'] as const;
export type InputRange = (typeof INPUT_RANGES)[number];

const LEVELS: Record<InputRange, { mean: number; scale: number }> = {
  '-1..1': { mean: 127.5, scale: 1 / 127.5 },
  '0..1': { mean: 0, scale: 1 / 255 },
  '0..255': { mean: 0, scale: 1 },
};

/** Mean and scale of each channel. */
export function normalisationOf(
  range: InputRange,
  channels: number,
): Pick<ModelDescription['input'], 'mean' | 'scale'> {
  const { mean, scale } = LEVELS[range];
  return { mean: new Array(channels).fill(mean), scale: new Array(channels).fill(scale) };
}
