/** What the numbers that a model gives mean for its labels. */
import type { ModelDescription } from './description.ts';

/** Whether a model's numbers can stand for so many labels: one for each, or one for two of them. */
export function answersFit(numbers: number, labels: number): boolean {
  return numbers === labels || (numbers === 1 && labels === 2);
}

/**
 * Writes a model's answer as one number for each label. A single number for two labels belongs to the second: its
 * probability p stands for 1 − p and p, its logit x for 0 and x.
 * @param into as long as there are labels
 */
export function forLabels(
  answer: Float32Array,
  kind: ModelDescription['output']['kind'],
  into: Float32Array,
): void {
  if (answer.length === into.length) {
    into.set(answer);
    return;
  }
  const [second] = answer as unknown as [number];
  into[0] = kind === 'logits' ? 0 : 1 - second;
  into[1] = second;
}
