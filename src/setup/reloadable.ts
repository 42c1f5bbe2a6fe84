/** Which settings of a reloaded configuration apply immediately, and which need a restart. */
import { isDeepStrictEqual } from 'node:util';
import type { LoadedConfig } from '../config/load-config.ts';

type Settings = LoadedConfig['config'];

/**
 * Takes from a new configuration what can change without a restart: models, labels and groups, those of running cameras
 * and zones included, and the cameras' `enabled` and `detect`.
 * @returns the configuration to run with, and the paths of all other settings that differ
 */
export function takeOver(running: Settings, next: Settings): { config: Settings; waiting: string[] } {
  const cameras = Object.entries(running.cameras).map(([name, camera]) => {
    const changed = next.cameras[name];
    if (!changed) return [name, camera];
    const zones = Object.entries(camera.zones).map(([zone, settings]) => {
      const { labels, model } = changed.zones[zone] ?? settings;
      return [zone, { ...settings, labels, model }];
    });
    const { labels, model, enabled, detect } = changed;
    return [name, { ...camera, labels, model, enabled, detect, zones: Object.fromEntries(zones) }];
  });
  const { model, models, labels, groups } = next;
  const config: Settings = {
    ...running,
    model,
    models,
    labels,
    groups,
    cameras: Object.fromEntries(cameras),
  };
  return { config, waiting: differences(config, next, []) };
}

/** Paths of the settings in which two configurations differ. */
function differences(a: unknown, b: unknown, path: string[]): string[] {
  if (isDeepStrictEqual(a, b)) return [];
  if (!isGroup(a) || !isGroup(b)) return a === undefined && b === undefined ? [] : [path.join('.')];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) =>
    differences(a[key], b[key], [...path, key]),
  );
}

const isGroup = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
