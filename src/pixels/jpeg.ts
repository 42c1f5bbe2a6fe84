/**
 * JPEG through libjpeg-turbo, straight into and out of our own buffers. It does what cameras and snapshots need and no
 * more; pictures that must be scaled, turned or brought to another colour space are for pixels/decode-image.ts.
 */
import turbo from '@julusian/jpeg-turbo';
import { free } from '../runtime/garbage.ts';

const START = 0xffd8;
const BASELINE = [0xffc0, 0xffc1];
const SCAN = 0xffda;
const QUANTISATION = 0xffdb;
/** Where Exif data has its orientation, and where colour profiles are. */
const [EXIF, PROFILE] = [0xffe1, 0xffe2];

export interface PictureSize {
  width: number;
  height: number;
}

/**
 * Reads the header of a JPEG file that has its pixels just as they are to be seen.
 * @returns its size in pixels; null for anything else: progressive ones, such as may be turned (with Exif data), such
 *   as have a colour profile, four colours or 12 bits, such as are finely quantised (from a quality of about 93 on), and
 *   what is no JPEG file
 */
export function plainJpegSize(file: Buffer): PictureSize | null {
  if (file.length < 4 || file.readUInt16BE(0) !== START) return null;
  let size: PictureSize | null = null;
  for (let at = 2; at + 10 <= file.length; at += 2 + file.readUInt16BE(at + 2)) {
    const marker = file.readUInt16BE(at);
    if (marker === SCAN) return size;
    if (marker < 0xffc0 || marker === EXIF || marker === PROFILE) return null;
    if (marker === QUANTISATION && isFine(file.subarray(at + 4, at + 2 + file.readUInt16BE(at + 2))))
      return null;
    if (!BASELINE.includes(marker)) continue;
    const [bits, components] = [file[at + 4], file[at + 9]];
    if (bits !== 8 || (components !== 1 && components !== 3)) return null;
    size = { height: file.readUInt16BE(at + 5), width: file.readUInt16BE(at + 7) };
  }
  return null;
}

/**
 * Whether tables of quantisation have steps of 1. The package asks libjpeg-turbo for its fast transform, whose rounding
 * then shows: up to 27 levels from the accurate one that libvips uses, instead of up to 11 and one on average.
 * @param tables one after another: a byte that tells the bytes of a step, and 64 steps
 */
function isFine(tables: Buffer): boolean {
  for (let at = 0; at < tables.length; ) {
    const wide = tables[at]! >> 4 !== 0;
    const end = at + 1 + (wide ? 128 : 64);
    if (wide || tables.subarray(at + 1, end).includes(1)) return true;
    at = end;
  }
  return false;
}

/**
 * Decodes a JPEG file to packed RGB, in another thread.
 * @param into takes the picture, 3 × width × height bytes
 * @throws Error when the file is damaged, even if most of it can be seen, or the picture does not fit
 */
export async function decodeJpeg(file: Buffer, into: ArrayBuffer): Promise<void> {
  await turbo.decompress(file, Buffer.from(into), { format: turbo.FORMAT_RGB });
}

/**
 * Compresses packed RGB, in another thread.
 * @param quality 1…100
 */
export async function encodeJpeg(
  data: Uint8Array<ArrayBuffer>,
  { width, height }: PictureSize,
  quality: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pixels = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const options = { width, height, quality, format: turbo.FORMAT_RGB, subsampling: turbo.SAMP_420 };
  // As large as the worst case needs, which is larger than the pixels.
  const room = new ArrayBuffer(turbo.bufferSize(options));
  try {
    return new Uint8Array(await turbo.compress(pixels, Buffer.from(room), options));
  } finally {
    free(room);
  }
}
