/** Resolves a configuration before anything starts, so that its mistakes are found here. */
import { createHash } from 'node:crypto';
import type { LoadedConfig } from '../config/load-config.ts';
import { DEFAULT_MODEL } from '../config/names.ts';
import type { ModelConfig } from '../config/schema.ts';
import { type Chosen, chooseModel } from '../model/builtin.ts';
import { type LoadedModel, loadModel } from '../model/load-model.ts';
import { resolveLabels } from './camera-labels.ts';
import { type Resolved, type ResolvedModel, resolveCameras } from './resolved.ts';

/**
 * Reads the models and resolves the labels of every camera.
 * @throws LookoutError MODEL_*, LABEL_UNKNOWN or CONFIG_INVALID
 */
export async function resolveConfig(loaded: Pick<LoadedConfig, 'config' | 'baseDir'>): Promise<Resolved> {
  const models = await resolveModels(loaded);
  return { models, cameras: resolveCameras(models, loaded.config.cameras) };
}

/**
 * Reads the models and resolves the labels that each of them detects.
 * @returns all configured models by name, the default one first
 * @throws LookoutError MODEL_*, LABEL_UNKNOWN or CONFIG_INVALID
 */
export async function resolveModels({
  config,
  baseDir,
}: Pick<LoadedConfig, 'config' | 'baseDir'>): Promise<Map<string, ResolvedModel>> {
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
  return new Map(
    Object.entries(configs).map(([name, settings]) => {
      const model = loaded[name]!;
      const key = keyOf(model, settings);
      return [name, { ...model, ...resolved[name]!, config: settings, key, note: notes[name] ?? null }];
    }),
  );
}

function keyOf(
  { file, sha256, description }: LoadedModel,
  { providers, threads, sessions, spinning, exact }: ModelConfig,
): string {
  const settings = { providers, threads, sessions, spinning, exact };
  const identity = JSON.stringify({ file, sha256, description, ...settings });
  return createHash('sha256').update(identity).digest('hex').slice(0, 16);
}
