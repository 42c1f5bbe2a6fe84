import type { ModelDescription } from '../model/description.ts';

/** A copy of the model output as probabilities: unchanged, or the softmax of logits. A single logit is compared with 0. */
export function toProbabilities(
  output: Float32Array,
  kind: ModelDescription['output']['kind'],
): Float32Array<ArrayBuffer> {
  const result = new Float32Array(output);
  if (kind === 'probabilities') return result;
  if (result.length === 1) {
    result[0] = 1 / (1 + Math.exp(-result[0]!));
    return result;
  }
  let highest = Number.NEGATIVE_INFINITY;
  for (const logit of result) highest = Math.max(highest, logit);
  let sum = 0;
  for (let index = 0; index < result.length; index++) {
    result[index] = Math.exp(result[index]! - highest);
    sum += result[index]!;
  }
  for (let index = 0; index < result.length; index++) result[index]! /= sum;
  return result;
}
