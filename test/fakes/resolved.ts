import { configSchema, defaultLabel } from '../../src/config/schema.ts';
import { compileLabels } from '../../src/setup/label-groups.ts';
import type { ResolvedModel } from '../../src/setup/resolved.ts';
import type { SessionInfo } from '../../src/vision/inference-session.ts';

interface Changes extends Partial<Omit<ResolvedModel, 'labels'>> {
  /** All of them make events. */
  labels?: string[];
  cameras?: string[];
}

/** A resolved model; its description is called `NAME_net`. */
export function resolvedModel(
  name: string,
  { labels = ['dog', 'car'], cameras = ['gate', 'yard'], ...changes }: Changes = {},
): ResolvedModel {
  const described = { name: `${name}_net`, labels, background: [], groups: {} };
  const events = Object.fromEntries(labels.map((label) => [label, defaultLabel]));
  return {
    file: `/models/${name}.onnx`,
    sha256: `sha256 of ${name}`,
    description: {
      ...described,
      task: 'classify',
      input: {
        name: 'image',
        width: 96,
        height: 64,
        layout: 'nhwc',
        type: 'uint8',
        channels: 3,
        order: 'rgb',
        mean: [0, 0, 0],
        scale: [1, 1, 1],
      },
      output: { name: 'scores', kind: 'probabilities' },
      events: {},
      warning: null,
      licence: null,
    },
    compiled: compileLabels(described, {}),
    labels: Object.fromEntries(cameras.map((camera) => [camera, events])),
    config: configSchema.parse({}).model,
    key: `key of ${name}`,
    note: null,
    ...changes,
  };
}

export function sessionInfo(changes: Partial<SessionInfo> = {}): SessionInfo {
  return {
    provider: 'cpu',
    threads: 2,
    kernel: { name: 'standard', reason: 'exact here' },
    skipped: [],
    ...changes,
  };
}
