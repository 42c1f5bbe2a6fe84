/** Which labels make events on a camera, and with what settings. */
import { layerLabel } from '../config/labels.ts';
import type { CameraConfig, Config, LabelConfig } from '../config/schema.ts';
import { LookoutError } from '../errors.ts';
import type { ModelDescription } from '../model/description.ts';
import { type CompiledLabels, compileLabels } from './groups.ts';
import { presetFor } from './presets.ts';

/**
 * The labels that make events on a camera: those of the configuration or, if it names none, those that the model
 * proposes; and those that the camera adds. Settings: defaults ← model ← configuration ← camera.
 */
export function effectiveLabels(
  description: Pick<ModelDescription, 'labels' | 'events'>,
  config: Pick<Config, 'labels'>,
  camera: Pick<CameraConfig, 'labels'>,
): Record<string, LabelConfig> {
  const proposed = proposedLabels(description);
  const base = Object.keys(config.labels).length > 0 ? config.labels : proposed;
  const names = new Set([...Object.keys(base), ...Object.keys(camera.labels)]);
  return Object.fromEntries(
    [...names].map((name) => [name, layerLabel(proposed[name], config.labels[name], camera.labels[name])]),
  );
}

/**
 * Resolves all label settings before any camera starts.
 * @returns what can be scored, and for each camera the settings of the labels that make events
 * @throws LookoutError LABEL_UNKNOWN with every unknown name; CONFIG_INVALID for zones limited to labels that make
 * no events on their camera
 */
export function resolveLabels(
  description: ModelDescription,
  config: Pick<Config, 'labels' | 'groups' | 'cameras'>,
): { compiled: CompiledLabels; labels: Record<string, Record<string, LabelConfig>> } {
  const uses = (path: string, names: readonly string[]) => names.map((name) => ({ path, name }));
  const named = [
    ...uses("the model's events", Object.keys(proposedLabels(description))),
    ...uses('labels', Object.keys(config.labels)),
  ];
  const byCamera: Record<string, Record<string, LabelConfig>> = {};
  const idle: string[] = [];
  for (const [name, camera] of Object.entries(config.cameras)) {
    const labels = effectiveLabels(description, config, camera);
    byCamera[name] = labels;
    named.push(...uses(`cameras.${name}.labels`, Object.keys(camera.labels)));
    for (const [zone, { labels: wanted = [] }] of Object.entries(camera.zones)) {
      const path = `cameras.${name}.zones.${zone}.labels`;
      named.push(...uses(path, wanted));
      for (const label of wanted) {
        if (Object.hasOwn(labels, label)) continue;
        idle.push(`${path}: expected labels that make events on this camera, found \`${label}\``);
      }
    }
  }

  const compiled = compileLabels(description, config.groups, named);
  if (idle.length > 0) {
    throw new LookoutError('CONFIG_INVALID', idle.join('\n'), {
      hint: 'Add the label to `labels`, at the top or of the camera.',
    });
  }
  return { compiled, labels: byCamera };
}

/** What the model's description proposes or, if it proposes nothing, the preset for its labels. */
function proposedLabels({ labels, events }: Pick<ModelDescription, 'labels' | 'events'>) {
  if (Object.keys(events).length > 0) return events;
  return presetFor(labels)?.events ?? {};
}
