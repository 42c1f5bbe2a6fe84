/** Detects image formats by content, not by file name: which are supported, and what to do about the others. */

interface Format {
  name: string;
  /** First bytes in hexadecimal. */
  start: RegExp;
  /** Why it is not supported, and what to do; undefined: it is supported. */
  refusal?: string;
}

const CONVERT = 'is not supported: convert it to JPEG or PNG';

/** All formats: those that the installed decoders read, and others that users may try. */
const FORMATS: readonly Format[] = [
  { name: 'JPEG', start: /^ffd8ff/ },
  { name: 'PNG', start: /^89504e470d0a1a0a/ },
  { name: 'WebP', start: /^52494646.{8}57454250/ },
  { name: 'GIF', start: /^47494638(37|39)61/ },
  // Brands of the file type box, four bytes each: avif, avis.
  { name: 'AVIF', start: /^.{8}66747970(.{8}){0,12}617669(66|73)/ },
  { name: 'TIFF', start: /^(49492a00|49492b00|4d4d002a|4d4d002b)/ },
  {
    name: 'HEIC',
    // heic, heix, heim, heis, hevc, hevx, hevm, hevs; mif1, msf1.
    start: /^.{8}66747970(686569|686576|6d6966|6d7366)/,
    refusal:
      'is not supported: convert it (`heif-convert IN.heic OUT.jpg`, sudo apt install libheif-examples), ' +
      'or set the phone to take JPEG (iPhone: Camera, Formats, Most Compatible)',
  },
  { name: 'BMP', start: /^424d.{8}0000/, refusal: CONVERT },
  { name: 'icon', start: /^00000[12]00/, refusal: CONVERT },
  { name: 'JPEG XL', start: /^(ff0a|0000000c4a584c20)/, refusal: CONVERT },
  { name: 'JPEG 2000', start: /^(0000000c6a502020|ff4fff51)/, refusal: CONVERT },
  { name: 'netpbm', start: /^503[1-7](0a|0d|20)/, refusal: CONVERT },
  { name: 'Photoshop', start: /^38425053/, refusal: CONVERT },
  { name: 'PDF', start: /^25504446/, refusal: CONVERT },
];

/** The supported formats, as text. */
export const DECODED = words(FORMATS.filter(({ refusal }) => refusal === undefined).map(({ name }) => name));

/** File names of images, including unsupported formats. */
export const IMAGE_NAME =
  /\.(jpe?g?|jfif|png|webp|gif|avif|tiff?|hei[cf]|bmp|ico|jxl|jp2|p[bgpn]m|psd|svgz?)$/i;

/** Number of bytes at the start that are enough to detect the format. */
export const HEAD_BYTES = 512;

/** Why a file cannot be decoded; the message follows the file name. */
export class ImageError extends Error {
  /** The file is not meant as an image: a text file next to the images, or a folder. */
  readonly foreign: boolean;

  constructor(message: string, { foreign = false, cause }: { foreign?: boolean; cause?: unknown } = {}) {
    super(message, { cause });
    this.foreign = foreign;
  }
}

/**
 * The format of an image file, if it is supported.
 * @param head the first HEAD_BYTES of the file, or all of a shorter one
 * @param name the file name, which may show that a file with other content is meant as an image
 * @throws ImageError for all other files
 */
export function formatOf(head: Buffer, name: string): string {
  const hex = head.toString('hex');
  const format = FORMATS.find(({ start }) => start.test(hex));
  if (format?.refusal !== undefined) throw new ImageError(`${format.name} ${format.refusal}`);
  if (format) return format.name;
  const foreign = !IMAGE_NAME.test(name);
  throw notAnImage(describeOther(head), foreign);
}

/** The error for a file or folder that is `found` instead of an image file. */
export function notAnImage(found: string, foreign = true): ImageError {
  return new ImageError(`expected an image file (${DECODED}), found ${found}`, { foreign });
}

/** Describes a file that has no image format. */
function describeOther(head: Buffer): string {
  if (head.length === 0) return 'an empty file';
  if (head.every((byte) => byte === 0)) return 'only zero bytes';
  // MP4, Matroska, AVI and Y4M.
  if (/^(.{8}66747970|1a45dfa3|52494646.{8}415649|595556344d504547)/.test(head.toString('hex'))) {
    return 'a video';
  }
  const text = head.toString('utf8').trim();
  if (/^<(!doctype html|html|head|body|script)\b/i.test(text)) return 'a web page (HTML)';
  if (text.startsWith('<') && /<svg\b/i.test(text)) return 'an SVG drawing';
  // The last character may be cut.
  if (!/[\p{Cc}\ufffd]/u.test(text.replace(/\ufffd+$|\s+/g, ''))) return 'text';
  return 'unknown binary data';
}

function words(names: readonly string[]): string {
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
