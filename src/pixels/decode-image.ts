import { messageOf } from '../errors.ts';
import { free } from '../runtime/garbage.ts';
import { recordStage } from '../runtime/stage-times.ts';
import type { RawFrame } from '../types.ts';
import { type ImageFile, type Path, readImage } from './image-file.ts';
import { ImageError } from './image-format.ts';
import { decodeJpeg, type PictureSize, plainJpegSize } from './jpeg.ts';

/** Files with pictures of more pixels are refused: they would take hundreds of megabytes. */
export const LARGEST_PIXELS = 64_000_000;

/** Where the buffers of frames come from. */
export interface Buffers {
  /** A buffer of exactly `bytes` bytes, its content undefined. */
  acquire(bytes: number): ArrayBuffer;
  release(buffer: ArrayBuffer): void;
}

/**
 * Decodes an image file, upright and as rgb24; of several frames or pages the first.
 * @param fit the size that it is scaled into with its proportions kept; null: it keeps its size
 * @param buffers where the buffer of the frame comes from
 * @throws ImageError when it is no image, or a damaged one
 */
export async function decodeImageFile(
  file: Path,
  fit: PictureSize | null,
  buffers: Buffers,
): Promise<RawFrame> {
  const began = performance.now();
  return await decodeImage(await readImage(file), fit, buffers, began);
}

/**
 * The same for an image that has been read.
 * @param began when the work on it began, for the figures of the stages
 */
export async function decodeImage(
  { format, source }: ImageFile,
  fit: PictureSize | null,
  buffers: Buffers,
  began = performance.now(),
): Promise<RawFrame> {
  const asItIs = typeof source === 'string' ? null : await decodeAsItIs(source, fit, buffers);
  const picture = asItIs ?? (await decodeAny(format, source, fit, buffers));
  recordStage('decode', performance.now() - began);
  return picture;
}

/** The way of frames that a camera has saved: three times as fast. Null for other files, and for a damaged one. */
async function decodeAsItIs(
  bytes: Buffer,
  fit: PictureSize | null,
  buffers: Buffers,
): Promise<RawFrame | null> {
  const size = plainJpegSize(bytes);
  if (!size || !keepsItsSize(size, fit)) return null;
  const data = buffers.acquire(3 * size.width * size.height);
  try {
    await decodeJpeg(bytes, data);
  } catch {
    // libvips has the last word on it: it lets small faults pass, and names the others.
    buffers.release(data);
    return null;
  }
  return { format: { ...size, pixels: 'rgb24', colour: 'jpeg' }, data };
}

/** Whether a picture stays as it is when it is scaled into a size. */
function keepsItsSize({ width, height }: PictureSize, fit: PictureSize | null): boolean {
  if (width * height > LARGEST_PIXELS || width === 0 || height === 0) return false;
  if (fit === null) return true;
  return (width === fit.width && height <= fit.height) || (height === fit.height && width <= fit.width);
}

/** The way of all others, which is loaded for the first of them: it takes 12 MB. */
async function decodeAny(
  format: string,
  source: string | Buffer,
  fit: PictureSize | null,
  buffers: Buffers,
): Promise<RawFrame> {
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  const image = sharp(source, { limitInputPixels: LARGEST_PIXELS, failOn: 'error' }).autoOrient();
  if (fit) image.resize(fit.width, fit.height, { fit: 'inside' });
  const { data, info } = await image
    .flatten()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((error: unknown) => {
      throw undecodable(format, error);
    });
  if (info.channels !== 3) throw new ImageError(`${info.channels} channels instead of 3`);
  const buffer = buffers.acquire(data.byteLength);
  new Uint8Array(buffer).set(data);
  // A small one may lie in a buffer that others share.
  if (data.buffer instanceof ArrayBuffer && data.buffer.byteLength === data.byteLength) free(data.buffer);
  return {
    format: { width: info.width, height: info.height, pixels: 'rgb24', colour: 'jpeg' },
    data: buffer,
  };
}

/** Not in libvips's words: those may be about another file that is decoded at the same time. */
function undecodable(format: string, cause: unknown): ImageError {
  if (messageOf(cause).includes('pixel limit')) {
    return new ImageError(`it has more than ${LARGEST_PIXELS / 1e6} megapixels, which is too large`, {
      cause,
    });
  }
  return new ImageError(`the ${format} data is damaged, cut short or of a rare kind`, { cause });
}
