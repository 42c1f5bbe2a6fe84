/** Maps a model's output to its labels. */
import type { ModelDescription } from './description.ts';

/** Whether a model's output can stand for its labels: one number for each label, or one number for two labels. */
export function outputFitsLabels(numbers: number, labels: number): boolean {
  return numbers === labels || (numbers === 1 && labels === 2);
}

/**
 * Writes a model's output as one score for each label. A single number for two labels is the score of the second one:
 * a probability p becomes 1 − p and p, a logit x becomes 0 and x.
 * @param into one element for each label
 */
export function scoresForLabels(
  output: Float32Array,
  kind: ModelDescription['output']['kind'],
  into: Float32Array,
): void {
  if (output.length === into.length) {
    into.set(output);
    return;
  }
  const [second] = output as unknown as [number];
  into[0] = kind === 'logits' ? 0 : 1 - second;
  into[1] = second;
}
