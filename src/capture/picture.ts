import { readFile, stat } from 'node:fs/promises';
import { decodeJpeg, type PictureSize, plainJpegSize } from '../platform/jpeg.ts';
import { free } from '../platform/memory.ts';
import { tell } from '../platform/stages.ts';
import { type FrameSink, LARGEST_PIXELS, type Picture } from './source.ts';

/** Larger files are no pictures that a camera has saved, and not to be read as a whole. */
const LARGEST_SAVED = 32_000_000;

type Buffers = Pick<FrameSink, 'acquire' | 'release'>;

/**
 * Decodes a JPEG or PNG file, upright and scaled into `width` × `height` with its proportions kept, into a pooled
 * rgb24 buffer.
 * @throws Error when it is no picture, or a damaged one
 */
export async function decodePicture(
  file: string,
  width: number,
  height: number,
  sink: Buffers,
): Promise<Picture> {
  const began = performance.now();
  const source = (await stat(file)).size > LARGEST_SAVED ? file : await readFile(file);
  const asItIs = typeof source === 'string' ? null : await decodeAsItIs(source, width, height, sink);
  const picture = asItIs ?? (await decodeAny(source, width, height, sink));
  tell('decode', performance.now() - began);
  return picture;
}

/** The way of frames that a camera has saved: three times as fast. Null for other files, and for a damaged one. */
async function decodeAsItIs(
  bytes: Buffer,
  width: number,
  height: number,
  sink: Buffers,
): Promise<Picture | null> {
  const size = plainJpegSize(bytes);
  if (!size || !keepsItsSize(size, width, height)) return null;
  const data = sink.acquire(3 * size.width * size.height);
  try {
    await decodeJpeg(bytes, data);
  } catch {
    // libvips has the last word on it: it lets small faults pass, and names the others.
    sink.release(data);
    return null;
  }
  return { format: { ...size, pixels: 'rgb24', colour: 'jpeg' }, data };
}

/** Whether a picture stays as it is when it is scaled into `width` × `height`. */
function keepsItsSize(size: PictureSize, width: number, height: number): boolean {
  return (size.width === width && size.height <= height) || (size.height === height && size.width <= width);
}

/** The way of all others, which is loaded for the first of them: it takes 12 MB. */
async function decodeAny(
  source: string | Buffer,
  width: number,
  height: number,
  sink: Buffers,
): Promise<Picture> {
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  const { data, info } = await sharp(source, { limitInputPixels: LARGEST_PIXELS, failOn: 'error' })
    .autoOrient()
    .resize(width, height, { fit: 'inside' })
    .flatten()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
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
