import { roundScore } from '../runtime/round.ts';
import { defaultLabel, type LabelConfig, type LabelOverride } from './schema.ts';

/**
 * The settings of one label from layers, weakest first, on top of the defaults. A layer that sets only `on` scales `off`
 * in proportion, and one that sets only `window` scales `hits`, so that setting one of a pair never contradicts the other.
 */
export function layerLabel(...layers: (LabelOverride | undefined)[]): LabelConfig {
  let label = defaultLabel;
  for (const layer of layers) {
    if (!layer) continue;
    const { on = label.on, window = label.window } = layer;
    label = {
      ...label,
      off: label.on === 0 ? 0 : roundScore((label.off * on) / label.on),
      hits: Math.ceil((label.hits * window) / label.window),
      ...(layer as Partial<LabelConfig>),
    };
  }
  return label;
}
