import { layerLabel } from '../../src/config/label-layers.ts';
import type { LabelOverride } from '../../src/config/schema.ts';
import { Decider, type DeciderOptions, type ZoneModel } from '../../src/decide/decider.ts';
import { compileLabels } from '../../src/setup/label-groups.ts';
import type { Analysis, Box, Gate, Region } from '../../src/types.ts';

/** What a pretend model of two labels says about one region. */
export interface Look {
  dog?: number;
  car?: number;
  zone?: string | null;
  box?: Box;
}

const LABELS = ['dog', 'car'] as const;
export const WHOLE: Box = { x: 0, y: 0, w: 1, h: 1 };
export const T0 = Date.UTC(2026, 0, 1);

/** A model of two labels that makes events for the given ones. */
export function toyModel(
  labels: Record<string, LabelOverride>,
  key = 'toy',
  groups: Record<string, string[]> = {},
): ZoneModel {
  return {
    ...{ key, name: key },
    compiled: compileLabels({ name: key, labels: [...LABELS], background: [], groups: {} }, groups),
    labels: Object.fromEntries(Object.entries(labels).map(([name, label]) => [name, layerLabel(label)])),
  };
}

/** A decider for camera `door` with numbered ids, watching the given labels. */
export function makeDecider(
  labels: Record<string, LabelOverride>,
  options: Partial<DeciderOptions> = {},
): Decider {
  let count = 0;
  return new Decider({
    camera: 'door',
    models: { camera: toyModel(labels), zones: {} },
    logThreshold: 0.2,
    newId: () => `id-${String(++count).padStart(6, '0')}`,
    ...options,
  });
}

/** The analysis of a frame at `seconds`, with what the model said about each region; none: gated. */
export function analysis(
  seconds: number,
  looks: Look[],
  wall = T0 + seconds * 1000,
  gate?: Gate,
  model = 'toy',
): Analysis {
  return {
    camera: 'door',
    seq: 0,
    capturedAt: wall,
    monotonic: seconds * 1000,
    gate: gate ?? (looks.length > 0 ? 'motion' : 'still'),
    motion: 0,
    scores: looks.map(({ dog = 0, car = 0, zone = null, box = WHOLE }) => {
      const region: Region = { zone, box };
      return { region, model, probabilities: Float32Array.of(dog, car) };
    }),
    times: { motion: 0, resize: 0, inference: 0 },
  };
}
