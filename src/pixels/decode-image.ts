import { messageOf } from '../errors.ts';
import { free } from '../runtime/garbage.ts';
import { recordStage } from '../runtime/stage-times.ts';
import type { RawFrame } from '../types.ts';
import { type ImageFile, type Path, readImage } from './image-file.ts';
import { ImageError } from './image-format.ts';
import { decodeJpeg, type ImageSize, plainJpegSize } from './jpeg.ts';

/** Limit of the pixels of an image; larger ones would need hundreds of megabytes. */
export const LARGEST_PIXELS = 64_000_000;

/** Source of frame buffers. */
export interface Buffers {
  /** A buffer of exactly `bytes` bytes, its content undefined. */
  acquire(bytes: number): ArrayBuffer;
  release(buffer: ArrayBuffer): void;
}

/**
 * Decodes an image file upright to rgb24; if it has several frames or pages, the first one.
 * @param fit the size into which the image is scaled, with its proportions kept; null: it keeps its size
 * @param buffers provides the buffer of the result
 * @throws ImageError when it is not an image, or a damaged one
 */
export async function decodeImageFile(
  file: Path,
  fit: ImageSize | null,
  buffers: Buffers,
): Promise<RawFrame> {
  const began = performance.now();
  return await decodeImage(await readImage(file), fit, buffers, began);
}

/**
 * Decodes an image that has been read.
 * @param began start time for the stage times, by performance.now()
 */
export async function decodeImage(
  { format, source }: ImageFile,
  fit: ImageSize | null,
  buffers: Buffers,
  began = performance.now(),
): Promise<RawFrame> {
  const direct = typeof source === 'string' ? null : await decodeDirectly(source, fit, buffers);
  const frame = direct ?? (await decodeAny(format, source, fit, buffers));
  recordStage('decode', performance.now() - began);
  return frame;
}

/** Fast path for plain JPEG files such as stills of cameras: three times as fast. Null for all other files. */
async function decodeDirectly(
  bytes: Buffer,
  fit: ImageSize | null,
  buffers: Buffers,
): Promise<RawFrame | null> {
  const size = plainJpegSize(bytes);
  if (!size || !keepsItsSize(size, fit)) return null;
  const data = buffers.acquire(3 * size.width * size.height);
  try {
    await decodeJpeg(bytes, data);
  } catch {
    // libvips decides: it tolerates small faults and reports the others.
    buffers.release(data);
    return null;
  }
  return { format: { ...size, pixels: 'rgb24', colour: 'jpeg' }, data };
}

/** Whether scaling an image into a size leaves it unchanged. */
function keepsItsSize({ width, height }: ImageSize, fit: ImageSize | null): boolean {
  if (width * height > LARGEST_PIXELS || width === 0 || height === 0) return false;
  if (fit === null) return true;
  return (width === fit.width && height <= fit.height) || (height === fit.height && width <= fit.width);
}

/** Decodes any other image. sharp is loaded on first use, because it takes 12 MB. */
async function decodeAny(
  format: string,
  source: string | Buffer,
  fit: ImageSize | null,
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
  if (info.channels !== 3) throw new ImageError(`expected 3 colour channels, found ${info.channels}`);
  const buffer = buffers.acquire(data.byteLength);
  new Uint8Array(buffer).set(data);
  // Node.js allocates small buffers in a shared one, which must not be freed.
  if (data.buffer instanceof ArrayBuffer && data.buffer.byteLength === data.byteLength) free(data.buffer);
  return {
    format: { width: info.width, height: info.height, pixels: 'rgb24', colour: 'jpeg' },
    data: buffer,
  };
}

/** Does not quote libvips: its message may belong to another file that is decoded at the same time. */
function undecodable(format: string, cause: unknown): ImageError {
  if (messageOf(cause).includes('pixel limit')) {
    return new ImageError(`it has more than ${LARGEST_PIXELS / 1e6} megapixels, which is too large`, {
      cause,
    });
  }
  return new ImageError(`the ${format} data is damaged, truncated or of an unsupported variant`, { cause });
}
