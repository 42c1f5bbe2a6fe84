/** Which labels a detector has, of those that were found. */
import { LookoutError } from '../errors.ts';

/** Labels that stand for "nothing to see": of classifiers, and of the gaps in COCO's numbers. */
const NOTHING = new Set(['background', '???']);

export function backgroundIn(labels: readonly string[]): string[] {
  return labels.filter((label) => NOTHING.has(label));
}

/**
 * @param offset classes of background in front; label files may have a line for them or not
 * @throws LookoutError MODEL_LABELS_MISMATCH when `given` does not fit
 */
export function labelsOfClasses(
  given: string[] | undefined,
  beside: string[][],
  classes: number,
  offset: number,
  file: string,
): { found: string[]; warning: string | null } {
  if (given) return { found: withoutOffset(given, classes, offset, file), warning: null };
  const fitting = beside.filter(({ length }) => length === classes || length === classes + offset);
  if (fitting.length === 1) {
    return { found: withoutOffset(fitting[0]!, classes, offset, file), warning: null };
  }
  return {
    found: Array.from({ length: classes }, (_, index) => `class ${index}`),
    warning: `There are no labels for this model${fitting.length > 1 ? ' (several files would fit)' : ''}: its classes are only numbered.`,
  };
}

/** The labels without those of the background in front. */
export function withoutOffset(labels: string[], classes: number, offset: number, file: string): string[] {
  if (labels.length === classes) return labels;
  if (labels.length === classes + offset) return labels.slice(offset);
  throw new LookoutError(
    'MODEL_LABELS_MISMATCH',
    `${file} finds objects of ${classes} classes, but there are ${labels.length} labels`,
  );
}
