/** What is worked out from the configuration before anything starts, so that mistakes end here. */
import type { LoadedConfig } from './config/load.ts';
import type { CameraConfig, LabelConfig } from './config/schema.ts';
import type { CompiledLabels } from './decide/groups.ts';
import { resolveLabels } from './decide/labels.ts';
import { type LoadedModel, loadModel } from './model/load.ts';

export interface PreparedCamera {
  config: CameraConfig;
  /** The labels that make events on this camera, with every setting worked out. */
  labels: Record<string, LabelConfig>;
}

export interface Prepared {
  model: LoadedModel;
  compiled: CompiledLabels;
  cameras: Map<string, PreparedCamera>;
}

/**
 * Loads the model and works out the labels of every camera.
 * @throws LookoutError MODEL_*, LABEL_UNKNOWN or CONFIG_INVALID
 */
export async function prepare({ config, baseDir }: LoadedConfig): Promise<Prepared> {
  const model = await loadModel(config.model, baseDir);
  const { compiled, labels } = resolveLabels(model.description, config);
  const cameras = new Map<string, PreparedCamera>();
  for (const [name, camera] of Object.entries(config.cameras)) {
    cameras.set(name, { config: camera, labels: labels[name] ?? {} });
  }
  return { model, compiled, cameras };
}
