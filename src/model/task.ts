/** Refuses models whose answers the caller cannot use. */
import { LookoutError } from '../errors.ts';
import type { ModelDescription } from './description.ts';

export type Task = ModelDescription['task'];

const REFUSALS: Record<Task, { is: string; todo: string }> = {
  detect: {
    is: 'is an object detector: it answers with boxes, but a classifier is expected here',
    todo: '`lookout detect --model FILE IMAGE…` runs it. `lookout model list` shows image classifiers.',
  },
  classify: {
    is: 'is an image classifier: it answers with labels but without boxes, and an object detector is expected here',
    todo: '`lookout classify --model FILE IMAGE…` runs it. docs/models.md says which detectors can be used.',
  },
};

/**
 * @param file named in errors
 * @throws LookoutError MODEL_OUTPUT_UNSUPPORTED when the model is for another task
 */
export function requireTask({ task }: Pick<ModelDescription, 'task'>, wanted: Task, file: string): void {
  if (task === wanted) return;
  const { is, todo } = REFUSALS[task];
  throw new LookoutError('MODEL_OUTPUT_UNSUPPORTED', `${file} ${is}`, { hint: todo });
}
