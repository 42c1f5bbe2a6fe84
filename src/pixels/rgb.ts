import type { FrameFormat } from '../types.ts';
import { PixelMemory } from './kernels.ts';
import { orientationOf, type Transform, uprightSize, WHOLE } from './orientation.ts';
import { outputBytes, plainBytes, Resizer } from './resize.ts';

let memory: PixelMemory | undefined;

/**
 * Converts an entire frame to packed RGB, upright, in a new buffer.
 * @param data exactly one frame of the given format
 */
export function toRgb(
  data: Uint8Array,
  format: FrameFormat,
  transform: Transform,
): { data: Uint8Array<ArrayBuffer>; width: number; height: number } {
  memory ??= new PixelMemory();
  memory.bytes(data.length).set(data);
  const orientation = orientationOf(transform);
  const size = uprightSize(format, orientation);
  const output = { ...plainBytes(3), ...size };
  const resizer = new Resizer(memory, output);
  const pixels = new Uint8Array(outputBytes(output));
  resizer.resize(format, WHOLE, orientation, pixels);
  return { data: pixels, ...size };
}
