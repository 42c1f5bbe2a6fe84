import { resolve } from 'node:path';
import type { ModelConfig } from '../config/schema.ts';
import type { LoadedModel } from '../model/load-model.ts';
import type { Task } from '../model/task.ts';
import { configFile } from './options.ts';

/** Options of the commands that run a model over image files. */
export interface ImageModelOptions {
  config?: string;
  model?: string;
  labels?: string;
  description?: string;
}

/**
 * The model that a command runs, and the settings of its session.
 * @throws LookoutError CONFIG_*, MODEL_*
 */
export async function imageModel(
  options: ImageModelOptions,
  task: Task,
): Promise<{ model: LoadedModel; settings: ModelConfig }> {
  const { loadConfig } = await import('../config/load-config.ts');
  const { chooseModel } = await import('../model/builtin.ts');
  const { loadModel } = await import('../model/load-model.ts');
  const { modelFile } = await import('../config/names.ts');
  const { config, baseDir } = loadConfig({ file: configFile(options.config) });
  const settings = {
    ...config.model,
    ...(options.model && { file: modelFile(options.model, '', config.data_dir) }),
    ...(options.labels && { labels: resolve(options.labels) }),
    ...(options.description && { description: resolve(options.description) }),
  };
  const chosen = await chooseModel(settings, { dataDir: config.data_dir });
  if (chosen.note?.problem) process.stderr.write(`${chosen.note.text}\n`);
  const model = await loadModel({ ...settings, file: chosen.file }, baseDir, { task });
  return { model, settings };
}
