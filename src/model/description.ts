import type { LabelConfig } from '../config/schema.ts';

/** What a model wants to be fed and what its answers mean. */
export interface ModelDescription {
  name: string;
  input: {
    name: string;
    width: number;
    height: number;
    layout: 'nhwc' | 'nchw';
    type: 'uint8' | 'int8' | 'float32';
    order: 'rgb' | 'bgr';
    /** Per channel in the given order: element = (pixel 0…255 − mean) × scale. For uint8 mostly 0 and 1. */
    mean: [number, number, number];
    scale: [number, number, number];
  };
  output: { name: string; kind: 'probabilities' | 'logits' };
  /** One per class, in the order of the output. */
  labels: string[];
  /** Labels that stand for "nothing to see"; never proposed as events. */
  background: string[];
  /** Group → labels, proposed by the model; the configuration's groups come on top. */
  groups: Record<string, string[]>;
  /** Labels and groups that make events unless the configuration names its own. */
  events: Record<string, Partial<LabelConfig>>;
  /** Something that people must know before they trust it; said at every start. */
  warning: string | null;
  licence: string | null;
}
