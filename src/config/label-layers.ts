import { roundScore } from '../runtime/round.ts';
import { defaultLabel, type LabelConfig, type LabelOverride } from './schema.ts';

/**
 * One label's settings out of layers, weakest first, over the defaults. A layer that sets `on` alone moves `off`
 * along in proportion, and one that sets `window` alone moves `hits`, so that half a pair is never a contradiction.
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
