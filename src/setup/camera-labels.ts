/** Which labels make events on a camera, and with what settings. */
import { layerLabel } from '../config/label-layers.ts';
import type { CameraConfig, Config, LabelConfig } from '../config/schema.ts';
import type { CompiledLabels } from '../decide/label-classes.ts';
import { LookoutError } from '../errors.ts';
import type { ModelDescription } from '../model/description.ts';
import { modelOf } from './camera-model.ts';
import { compileKnown, type LabelUse, refuseUnknown } from './label-groups.ts';
import { presetFor } from './label-presets.ts';

/** The labels of one model, and those of them that make events. */
export interface ResolvedLabels {
  compiled: CompiledLabels;
  /** For each camera, in case the model analyses it, the settings of the labels that make events. */
  labels: Record<string, Record<string, LabelConfig>>;
}

/**
 * The labels that make events where a model analyses a camera: those of the configuration that it knows or, if there
 * are none, those that the model proposes; and those that the camera adds. Settings: defaults ← model ←
 * configuration ← camera.
 * @param knows whether the model knows a label; by default it knows all
 */
export function effectiveLabels(
  description: Pick<ModelDescription, 'labels' | 'events'>,
  config: Pick<Config, 'labels'>,
  camera: Pick<CameraConfig, 'labels'>,
  knows: (label: string) => boolean = () => true,
): Record<string, LabelConfig> {
  const proposed = proposedLabels(description);
  const configured = Object.keys(config.labels).filter(knows);
  const base = configured.length > 0 ? configured : Object.keys(proposed);
  const names = new Set([...base, ...Object.keys(camera.labels).filter(knows)]);
  return Object.fromEntries(
    [...names].map((name) => [name, layerLabel(proposed[name], config.labels[name], camera.labels[name])]),
  );
}

/**
 * Resolves all label settings for all models, before any camera starts. Of several models each takes what it knows.
 * @param models by the name that the configuration gives them
 * @throws LookoutError LABEL_UNKNOWN with every name that no model knows, or no model that analyses the camera
 * which names it; CONFIG_INVALID for zones limited to labels that make no events there
 */
export function resolveLabels(
  models: Readonly<Record<string, ModelDescription>>,
  config: Pick<Config, 'labels' | 'groups' | 'cameras'>,
): Record<string, ResolvedLabels> {
  const named = namedLabels(config);
  const results = Object.entries(models).map(([name, description]) => {
    // What a model proposes itself, no other can know for it.
    const own = uses("the model's events", Object.keys(proposedLabels(description)), []);
    return { name, description, ...compileKnown(description, config.groups, [...own, ...named]) };
  });
  const isUnknownTo = (model: string, { path, name }: LabelUse) =>
    results
      .find((result) => result.name === model)
      ?.unknown.some((other) => other.path === path && other.name === name) ?? false;
  const all = Object.keys(models);
  const unknown = results
    .flatMap((result) => result.unknown)
    .filter((use) => (use.models ?? all).every((model) => isUnknownTo(model, use)));
  // Several models miss the same; each has its own idea of what was meant.
  const once = unknown.filter(
    ({ path, name }, i) => i === unknown.findIndex((other) => other.path === path && other.name === name),
  );
  refuseUnknown(
    results.map(({ description }) => description.name),
    once,
  );

  const resolved: Record<string, ResolvedLabels> = {};
  for (const { name, description, compiled } of results) {
    const knows = (label: string) => compiled.names.includes(label);
    const labels = Object.entries(config.cameras).map(([camera, settings]) => [
      camera,
      effectiveLabels(description, config, settings, knows),
    ]);
    resolved[name] = { compiled, labels: Object.fromEntries(labels) };
  }
  checkZoneLabels(resolved, config);
  return resolved;
}

const uses = (path: string, names: readonly string[], models: readonly string[]): LabelUse[] =>
  names.map((name) => ({ path, name, models }));

/** What the configuration names, and which models are to know it. */
function namedLabels({ labels, cameras }: Pick<Config, 'labels' | 'cameras'>): LabelUse[] {
  const named: LabelUse[] = Object.keys(labels).map((name) => ({ path: 'labels', name }));
  for (const [name, camera] of Object.entries(cameras)) {
    const zones = Object.entries(camera.zones);
    const watching = [null, ...zones.map(([zone]) => zone)].map((zone) => modelOf(camera, zone));
    named.push(...uses(`cameras.${name}.labels`, Object.keys(camera.labels), watching));
    for (const [zone, { labels: wanted = [] }] of zones) {
      named.push(...uses(`cameras.${name}.zones.${zone}.labels`, wanted, [modelOf(camera, zone)]));
    }
  }
  return named;
}

function checkZoneLabels(resolved: Record<string, ResolvedLabels>, { cameras }: Pick<Config, 'cameras'>) {
  const idle: string[] = [];
  for (const [name, camera] of Object.entries(cameras)) {
    for (const [zone, { labels: wanted = [] }] of Object.entries(camera.zones)) {
      const labels = resolved[modelOf(camera, zone)]?.labels[name] ?? {};
      const path = `cameras.${name}.zones.${zone}.labels`;
      for (const label of wanted) {
        if (Object.hasOwn(labels, label)) continue;
        idle.push(`${path}: expected labels that make events on this camera, found \`${label}\``);
      }
    }
  }
  if (idle.length === 0) return;
  throw new LookoutError('CONFIG_INVALID', idle.join('\n  '), {
    hint: 'Add the label to `labels`, at the top or of the camera.',
  });
}

/** What the model's description proposes or, if it proposes nothing, the preset for its labels. */
function proposedLabels({ labels, events }: Pick<ModelDescription, 'labels' | 'events'>) {
  if (Object.keys(events).length > 0) return events;
  return presetFor(labels)?.events ?? {};
}
