import { DEFAULT_MODEL } from '../config/names.ts';
import type { CameraConfig, Config } from '../config/schema.ts';

/** Name of the model that analyses a camera, or one of its zones. */
export function modelOf(camera: Pick<CameraConfig, 'model' | 'zones'>, zone: string | null): string {
  return (zone === null ? undefined : camera.zones[zone]?.model) ?? camera.model ?? DEFAULT_MODEL;
}

/**
 * Which settings name each model file: `model.file`, those under `models`, and the cameras and zones that use them.
 * @returns file → settings, as paths into the configuration
 */
export function modelSettings({
  model,
  models,
  cameras,
}: Pick<Config, 'model' | 'models' | 'cameras'>): Map<string, string[]> {
  const named: Config['models'] = { [DEFAULT_MODEL]: model, ...models };
  const settings = new Map<string, string[]>();
  const add = (name: string, path: string) => {
    const { file } = named[name]!;
    settings.set(file, [...(settings.get(file) ?? []), path]);
  };
  for (const name of Object.keys(named)) {
    add(name, name === DEFAULT_MODEL ? 'model.file' : `models.${name}.file`);
  }
  for (const [camera, config] of Object.entries(cameras)) {
    if (config.model !== undefined) add(config.model, `cameras.${camera}.model`);
    for (const [zone, { model: own }] of Object.entries(config.zones)) {
      if (own !== undefined) add(own, `cameras.${camera}.zones.${zone}.model`);
    }
  }
  return settings;
}
