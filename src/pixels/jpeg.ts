/**
 * JPEG through libjpeg-turbo, directly into and out of our own buffers. It supports what cameras and snapshots need;
 * pixels/decode-image.ts handles images that must be scaled, rotated or converted to another colour space.
 */
import turbo from '@julusian/jpeg-turbo';
import { free } from '../runtime/garbage.ts';

const START = 0xffd8;
const BASELINE = [0xffc0, 0xffc1];
const SCAN = 0xffda;
const QUANTISATION = 0xffdb;
/** Segments of Exif data, which contain the orientation, and of colour profiles. */
const [EXIF, PROFILE] = [0xffe1, 0xffe2];

export interface ImageSize {
  width: number;
  height: number;
}

/**
 * Reads the header of a JPEG file whose pixels need no further processing.
 * @returns its size in pixels; null for all other files: progressive JPEGs, those with Exif data (may be rotated), a
 *   colour profile, four colours, 12 bits or fine quantisation (quality of about 93 and more), and files that are not JPEG
 */
export function plainJpegSize(file: Buffer): ImageSize | null {
  if (file.length < 4 || file.readUInt16BE(0) !== START) return null;
  let size: ImageSize | null = null;
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
 * Whether quantisation tables have steps of 1. The package uses the fast transform of libjpeg-turbo, whose rounding is
 * then visible: up to 27 levels from the accurate transform of libvips, instead of up to 11 and one on average.
 * @param tables in a row: a byte with the size of a step, then 64 steps
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
 * @param into receives the pixels, 3 × width × height bytes
 * @throws Error when the file is damaged, even slightly, or the image does not fit
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
  { width, height }: ImageSize,
  quality: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pixels = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const options = { width, height, quality, format: turbo.FORMAT_RGB, subsampling: turbo.SAMP_420 };
  // The worst case is larger than the pixels.
  const room = new ArrayBuffer(turbo.bufferSize(options));
  try {
    return new Uint8Array(await turbo.compress(pixels, Buffer.from(room), options));
  } finally {
    free(room);
  }
}
