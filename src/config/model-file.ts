/** Models that were added are known by a name; every other one by the path of its file. */
import { join, resolve } from 'node:path';
import { NAME } from './names.ts';

/** Where added models live, one folder each. */
export function modelsFolder(dataDir: string): string {
  return join(dataDir, 'models');
}

/** The file of the model that was added under this name. */
export function addedFileIn(folder: string, name: string): string {
  return join(folder, name, `${name}.onnx`);
}

export function isModelName(text: string): boolean {
  return NAME.pattern.test(text) && text !== 'builtin';
}

/**
 * What `model.file` and `--model` mean: `builtin`, the name of an added model, or a path.
 * @param baseDir where relative paths start
 * @param dataDir absolute
 */
export function modelFile(named: string, baseDir: string, dataDir: string): string {
  if (named === 'builtin') return named;
  return isModelName(named) ? addedFileIn(modelsFolder(dataDir), named) : resolve(baseDir, named);
}
