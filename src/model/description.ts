import { z } from 'zod';
import { labelOverride } from '../config/schema.ts';
import type { ModelInput } from '../types.ts';
import { type BoxDescription, boxesFile } from './boxes.ts';

/** A model's inputs, outputs and labels, and what they mean. */
export interface ModelDescription {
  name: string;
  /** `classify`: one score for each label; `detect`: boxes with scores. */
  task: 'classify' | 'detect';
  input: ModelInput & { name: string; fit?: 'squash' | 'letterbox' };
  output: { name: string; kind: 'probabilities' | 'logits' };
  /** How a detector's numbers become objects; null for a classifier. */
  boxes?: BoxDescription | null;
  /** A second output with the pooled features, for comparing images; most models have none. */
  embedding?: { name: string; size: number } | null;
  /** One for each class, in the order of the output. */
  labels: string[];
  /** Labels that mean "nothing to see"; they never make events. */
  background: string[];
  /** Group → labels, as proposed by the model; the configuration's groups are added. */
  groups: Record<string, string[]>;
  /** Labels and groups that make events unless the configuration names others. */
  events: Record<string, z.infer<typeof labelOverride>>;
  /** What users must know before they rely on the model; logged at every start. */
  warning: string | null;
  licence: string | null;
  /** The file that the model was made from. */
  source?: { file: string; sha256: string } | null;
}

const perChannel = z
  .array(z.number())
  .refine(({ length }) => length === 1 || length === 3, 'expected one number for each channel, 1 or 3');
const side = z.number().int().min(8).max(4096);
const labelName = z.string().min(1).normalize();

/**
 * A description in a model (metadata entry `lookout`) or in a .json file. What the model's graph states (names, size,
 * layout, type, channels) may be left out; if both state it, they must agree.
 */
export const descriptionFile = z.strictObject({
  name: z.string().min(1).optional(),
  task: z.enum(['classify', 'detect']).optional(),
  input: z
    .strictObject({
      name: z.string().optional(),
      width: side.optional(),
      height: side.optional(),
      layout: z.enum(['nhwc', 'nchw']).optional(),
      type: z.enum(['uint8', 'int8', 'float32']).optional(),
      channels: z.union([z.literal(1), z.literal(3)]).optional(),
      order: z.enum(['rgb', 'bgr']).optional(),
      fit: z.enum(['squash', 'letterbox']).optional(),
      mean: perChannel.optional(),
      scale: perChannel.optional(),
    })
    .prefault({}),
  output: z
    .strictObject({ name: z.string().optional(), kind: z.enum(['probabilities', 'logits']).optional() })
    .prefault({}),
  boxes: boxesFile.nullable().default(null),
  embedding: z
    .strictObject({ name: labelName, size: z.number().int().min(1) })
    .nullable()
    .default(null),
  labels: z.array(labelName).min(1).optional(),
  background: z.array(labelName).default([]),
  groups: z.record(labelName, z.array(labelName).min(1)).default({}),
  events: z.record(labelName, labelOverride).default({}),
  warning: z.string().nullable().default(null),
  licence: z.string().nullable().default(null),
  source: z.strictObject({ file: z.string(), sha256: z.string() }).nullable().default(null),
});

export type DescriptionFile = z.infer<typeof descriptionFile>;
