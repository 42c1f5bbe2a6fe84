/** Names of devices, cameras, zones and models, and the files of models that were added under a name. */
import { join, resolve } from 'node:path';

/** Names become parts of topics and of paths. */
export const NAME = {
  pattern: /^[a-z0-9][a-z0-9_-]{0,39}$/,
  rule: 'lower-case letters, digits, - and _, at most 40, starting with a letter or digit',
};

/** What cameras call the model in `model`; those in `models` have names of their own. */
export const DEFAULT_MODEL = 'default';

/** Folder of the added models, which have one folder each. */
export function modelsFolder(dataDir: string): string {
  return join(dataDir, 'models');
}

export function addedFileIn(folder: string, name: string): string {
  return join(folder, name, `${name}.onnx`);
}

export function isModelName(text: string): boolean {
  return NAME.pattern.test(text) && text !== 'builtin';
}

/**
 * Resolves `model.file` or `--model`, which is `builtin`, the name of an added model, or a path.
 * @param baseDir where relative paths start
 * @param dataDir absolute
 */
export function modelFile(named: string, baseDir: string, dataDir: string): string {
  if (named === 'builtin') return named;
  return isModelName(named) ? addedFileIn(modelsFolder(dataDir), named) : resolve(baseDir, named);
}
