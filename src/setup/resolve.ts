/** What is worked out from the configuration before anything starts, so that mistakes end here. */
import { createHash } from 'node:crypto';
import type { LoadedConfig } from '../config/load-config.ts';
import { DEFAULT_MODEL } from '../config/names.ts';
import type { ModelConfig } from '../config/schema.ts';
import { type Chosen, chooseModel } from '../model/builtin.ts';
import { type LoadedModel, loadModel } from '../model/load-model.ts';
import { resolveLabels } from './camera-labels.ts';
import { cameraModels, type Resolved, type ResolvedCamera } from './resolved.ts';

/**
 * Reads the models and works out the labels of every camera.
 * @throws LookoutError MODEL_*, LABEL_UNKNOWN or CONFIG_INVALID
 */
export async function resolveConfig({
  config,
  baseDir,
}: Pick<LoadedConfig, 'config' | 'baseDir'>): Promise<Resolved> {
  const configs = { [DEFAULT_MODEL]: config.model, ...config.models };
  const loaded: Record<string, LoadedModel> = {};
  const notes: Record<string, Chosen['note']> = {};
  for (const [name, settings] of Object.entries(configs)) {
    const { file, note } = await chooseModel(settings, { dataDir: config.data_dir });
    loaded[name] = await loadModel({ ...settings, file }, baseDir);
    notes[name] = note;
  }
  const resolved = resolveLabels(
    Object.fromEntries(Object.entries(loaded).map(([name, { description }]) => [name, description])),
    config,
  );
  const models = new Map(
    Object.entries(configs).map(([name, settings]) => {
      const model = loaded[name]!;
      const key = keyOf(model, settings);
      return [name, { ...model, ...resolved[name]!, config: settings, key, note: notes[name] ?? null }];
    }),
  );
  const cameras = new Map<string, ResolvedCamera>();
  for (const [name, camera] of Object.entries(config.cameras)) {
    cameras.set(name, { config: camera, models: cameraModels(models, name, camera) });
  }
  return { models, cameras };
}

function keyOf(
  { file, sha256, description }: LoadedModel,
  { providers, threads, sessions, spinning, exact }: ModelConfig,
): string {
  const settings = { providers, threads, sessions, spinning, exact };
  const identity = JSON.stringify({ file, sha256, description, ...settings });
  return createHash('sha256').update(identity).digest('hex').slice(0, 16);
}
