import type { PictureFormat } from '../types.ts';
import { PixelMemory } from './kernels.ts';
import { Resizer } from './resize.ts';
import { orientationOf, type Transform, uprightSize, WHOLE } from './transform.ts';

let memory: PixelMemory | undefined;

/**
 * A whole picture as packed RGB, upright, in a new buffer.
 * @param data exactly one picture of the given format
 */
export function toRgb(
  data: Uint8Array,
  format: PictureFormat,
  transform: Transform,
): { data: Uint8Array<ArrayBuffer>; width: number; height: number } {
  memory ??= new PixelMemory();
  memory.bytes(data.length).set(data);
  const orientation = orientationOf(transform);
  const size = uprightSize(format, orientation);
  const resizer = new Resizer(memory, {
    ...size,
    ...{ layout: 'nhwc', type: 'uint8', order: 'rgb', mean: [0, 0, 0], scale: [1, 1, 1] },
  });
  const pixels = new Uint8Array(size.width * size.height * 3);
  resizer.resize(format, WHOLE, orientation, pixels);
  return { data: pixels, ...size };
}
