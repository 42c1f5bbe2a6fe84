/** A configuration as it runs: its models, and which cameras and zones each of them analyses. */
import type { CameraConfig, ModelConfig } from '../config/schema.ts';
import type { CameraModels, ZoneModel } from '../decide/decider.ts';
import { LookoutError } from '../errors.ts';
import type { Chosen } from '../model/builtin.ts';
import type { LoadedModel } from '../model/load-model.ts';
import type { PublishedCamera } from '../publish/topics.ts';
import type { ModelUse } from '../vision/thread-messages.ts';
import type { Models } from '../vision/vision.ts';
import type { ResolvedLabels } from './camera-labels.ts';
import { modelOf } from './camera-model.ts';

/** A model that cameras may use. */
export interface ResolvedModel extends LoadedModel, ResolvedLabels {
  config: ModelConfig;
  /** Models with the same key have the same content and settings and share a session. */
  key: string;
  /** The same model, made exact beforehand (model/exact/exact-files.ts). */
  exactFile?: string | null;
  /** Which model `builtin` stands for here, if that is worth a log line. */
  note: Chosen['note'];
}

export interface ResolvedCamera {
  config: CameraConfig;
  /** The models that analyse it, and the labels that make events with all their settings. */
  models: CameraModels;
}

export interface Resolved {
  /** All configured models by name, the default one first. */
  models: ReadonlyMap<string, ResolvedModel>;
  cameras: ReadonlyMap<string, ResolvedCamera>;
}

/**
 * The models that analyse a camera and its zones.
 * @throws LookoutError CONFIG_INVALID if one of them is not configured
 */
export function cameraModels(
  models: ReadonlyMap<string, ResolvedModel>,
  name: string,
  camera: CameraConfig,
): CameraModels {
  const zoneModel = (zone: string | null): ZoneModel => {
    const modelName = modelOf(camera, zone);
    const model = models.get(modelName);
    if (!model) {
      throw new LookoutError(
        'CONFIG_INVALID',
        `cameras.${name}: the model ${modelName} is no longer configured`,
      );
    }
    const { key, description, compiled } = model;
    const limit = zone === null ? undefined : camera.zones[zone]?.labels;
    const labels = Object.entries(model.labels[name] ?? {}).filter(
      ([label]) => limit?.includes(label) ?? true,
    );
    return { key, name: description.name, compiled, labels: Object.fromEntries(labels) };
  };
  const zones = Object.keys(camera.zones).map((zone) => [zone, zoneModel(zone)]);
  return { camera: zoneModel(null), zones: Object.fromEntries(zones) };
}

/** The models and labels of all cameras. @throws LookoutError CONFIG_INVALID if one names a missing model */
export function resolveCameras(
  models: ReadonlyMap<string, ResolvedModel>,
  cameras: Record<string, CameraConfig>,
): Map<string, ResolvedCamera> {
  return new Map(
    Object.entries(cameras).map(([name, config]) => [
      name,
      { config, models: cameraModels(models, name, config) },
    ]),
  );
}

/** What vision needs: each model in use once, and which cameras and zones use it. */
export function modelsInUse(
  models: ReadonlyMap<string, ResolvedModel>,
  cameras: ReadonlyMap<string, CameraModels>,
): Models {
  const uses = [...cameras].map(([name, { camera, zones }]): [string, ModelUse] => {
    const keys = Object.entries(zones).map(([zone, { key }]) => [zone, key]);
    return [name, { camera: camera.key, zones: Object.fromEntries(keys) }];
  });
  const used = new Set(uses.flatMap(([, { camera, zones }]) => [camera, ...Object.values(zones)]));
  const byKey = new Map([...models.values()].map((model) => [model.key, model]));
  return {
    models: [...byKey.values()].filter(({ key }) => used.has(key)),
    uses: Object.fromEntries(uses),
  };
}

/** The cameras as MQTT shows them, with the labels that make events there. */
export function publishedCameras(cameras: ReadonlyMap<string, CameraModels>): PublishedCamera[] {
  return [...cameras].map(([name, models]) => ({ name, labels: Object.keys(labelsOf(models)) }));
}

/** All labels that make events on a camera, in any of its zones. */
export function labelsOf({ camera, zones }: CameraModels): ZoneModel['labels'] {
  return Object.assign({}, ...[camera, ...Object.values(zones)].map(({ labels }) => labels));
}
