import sharp from 'sharp';
import { free } from '../platform/memory.ts';
import { tell } from '../platform/stages.ts';
import { type FrameSink, LARGEST_PIXELS, type Picture } from './source.ts';

/**
 * Decodes a JPEG or PNG file, upright and scaled into `width` × `height` with its proportions kept, into a pooled
 * rgb24 buffer.
 * @throws Error when it is no picture, or a damaged one
 */
export async function decodePicture(
  file: string,
  width: number,
  height: number,
  sink: Pick<FrameSink, 'acquire'>,
): Promise<Picture> {
  const began = performance.now();
  const { data, info } = await sharp(file, { limitInputPixels: LARGEST_PIXELS, failOn: 'error' })
    .autoOrient()
    .resize(width, height, { fit: 'inside' })
    .flatten()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  tell('decode', performance.now() - began);
  if (info.channels !== 3) throw new Error(`${info.channels} channels instead of 3`);
  const buffer = sink.acquire(data.byteLength);
  new Uint8Array(buffer).set(data);
  // A small one may lie in a buffer that others share.
  if (data.buffer instanceof ArrayBuffer && data.buffer.byteLength === data.byteLength) free(data.buffer);
  return {
    format: { width: info.width, height: info.height, pixels: 'rgb24', colour: 'jpeg' },
    data: buffer,
  };
}
