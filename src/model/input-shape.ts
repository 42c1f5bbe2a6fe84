import type { ModelDescription } from './description.ts';

/** The dimensions of a model's input. */
export function inputShape({
  layout,
  width,
  height,
  channels,
}: Pick<ModelDescription['input'], 'layout' | 'width' | 'height' | 'channels'>): number[] {
  return layout === 'nhwc' ? [1, height, width, channels] : [1, channels, height, width];
}
