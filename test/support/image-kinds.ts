/** Image files as people have them: one of each kind, all of the same image, a car in the demo's driveway. */
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { Scene } from '../../src/demo/scene.ts';
import { toRgb } from '../../src/pixels/rgb.ts';

const [WIDTH, HEIGHT] = [640, 480];
/** A moment at which a car stands in the driveway. */
const CAR_MS = 10_000;

/** What must be said of a file: `car`, any answer at all, or the words of the line that refuses it. */
export type Expected = 'car' | 'any' | RegExp;

export interface ImageKind {
  name: string;
  bytes: Buffer;
  expected: Expected;
}

const DAMAGED = /^the (JPEG|PNG|WebP|GIF|AVIF|TIFF) data is damaged, truncated or of an unsupported variant$/;
const found = (what: string) => new RegExp(`^expected an image file \\(.*\\), found ${what}$`);
const unsupported = (format: string) => new RegExp(`^${format} is not supported: convert it`);
const TOO_LARGE = /^it has more than 64 megapixels, which is too large$/;

/** The image, as raw pixels. */
function car(): Sharp {
  const scene = new Scene(WIDTH, HEIGHT, 1);
  const data = new Uint8Array(scene.bytes);
  scene.render(CAR_MS, data);
  const format = { width: WIDTH, height: HEIGHT, pixels: 'i420', colour: 'bt601' } as const;
  const rgb = toRgb(data, format, { rotate: 0, mirror: 'none' });
  return sharp(rgb.data, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
}

/** The image as a camera that was held otherwise stores it: Exif says how to turn it upright again. */
async function turned(orientation: number): Promise<Sharp> {
  const flipped = [2, 4, 5, 7].includes(orientation);
  const clockwise = { 1: 0, 2: 0, 3: 180, 4: 180, 5: 270, 6: 270, 7: 90, 8: 90 }[orientation] ?? 0;
  const image = flipped ? sharp(await car().flop().png().toBuffer()) : car();
  return sharp(await image.rotate(clockwise).png().toBuffer()).withMetadata({ orientation });
}

async function animated(format: 'gif' | 'webp'): Promise<Buffer> {
  const second = sharp({ create: { width: WIDTH, height: HEIGHT, channels: 3, background: 'blue' } });
  const frames = await Promise.all([car(), second].map((frame) => frame.png().toBuffer()));
  return sharp(frames, { join: { animated: true } })
    .toFormat(format)
    .toBuffer();
}

function plain(width: number, height: number): Sharp {
  return sharp({ create: { width, height, channels: 3, background: '#c08040' } });
}

/** A copy of a JPEG file with some bytes of its frame header changed. */
function changeHeader(jpeg: Buffer, change: (header: Buffer) => void): Buffer {
  const copy = Buffer.from(jpeg);
  change(copy.subarray(copy.indexOf(Buffer.from([0xff, 0xc0]))));
  return copy;
}

/** A PNG file that says it has another size. */
function changeSize(png: Buffer, width: number, height: number): Buffer {
  const copy = Buffer.from(png);
  copy.writeUInt32BE(width, 16);
  copy.writeUInt32BE(height, 20);
  copy.writeUInt32BE(crc32(copy.subarray(12, 29)), 29);
  return copy;
}

const text = (content: string) => Buffer.from(content);
const hex = (content: string) => Buffer.concat([Buffer.from(content, 'hex'), Buffer.alloc(1000, 7)]);
const fixture = (name: string) => readFileSync(new URL(`../fixtures/images/${name}`, import.meta.url));

export async function imageKinds(): Promise<ImageKind[]> {
  const kinds: ImageKind[] = [];
  const add = (name: string, bytes: Buffer, expected: Expected) => kinds.push({ name, bytes, expected });
  const jpeg = await car().jpeg().toBuffer();
  const png = await car().png().toBuffer();

  // JPEG
  add('plain.jpg', jpeg, 'car');
  add('UPPER.JPEG', await car().jpeg({ chromaSubsampling: '4:4:4', quality: 100 }).toBuffer(), 'car');
  add('progressive.jpg', await car().jpeg({ progressive: true }).toBuffer(), 'car');
  add('optimised.jpg', await car().jpeg({ mozjpeg: true }).toBuffer(), 'car');
  add('coarse.jpg', await car().jpeg({ quality: 20 }).toBuffer(), 'car');
  add('arithmetic.jpg', fixture('arithmetic.jpg'), 'car');
  add('restart markers.jpg', fixture('restart.jpg'), 'car');
  add('RGB, not YCbCr.jpg', fixture('rgb.jpg'), 'car');
  add('grey.jpg', await car().toColourspace('b-w').jpeg().toBuffer(), 'car');
  add('cmyk.jpg', await car().toColourspace('cmyk').jpeg().toBuffer(), 'car');
  add('profile p3.jpg', await car().withIccProfile('p3').jpeg().toBuffer(), 'car');
  add('trailing bytes.jpg', Buffer.concat([jpeg, Buffer.alloc(5000, 1)]), 'car');
  for (let orientation = 1; orientation <= 8; orientation++) {
    const image = await turned(orientation);
    add(`exif ${orientation}.jpg`, await image.jpeg({ quality: 95 }).toBuffer(), 'car');
  }
  add(
    '12 bits.jpg',
    changeHeader(jpeg, (header) => header.writeUInt8(12, 4)),
    DAMAGED,
  );
  add(
    'no height.jpg',
    changeHeader(jpeg, (header) => header.writeUInt16BE(0, 5)),
    DAMAGED,
  );
  const huge = changeHeader(jpeg, (header) => header.writeUInt32BE(0xffdcffdc, 5));
  add('65500 by 65500.jpg', huge, TOO_LARGE);

  // PNG
  add('plain.png', png, 'car');
  add('palette.png', await car().png({ palette: true }).toBuffer(), 'car');
  add('interlaced.png', await car().png({ progressive: true }).toBuffer(), 'car');
  add('16 bits.png', await car().toColourspace('rgb16').png().toBuffer(), 'car');
  add('grey.png', await car().toColourspace('b-w').png().toBuffer(), 'car');
  add('grey 16 bits.png', await car().toColourspace('grey16').png().toBuffer(), 'car');
  add('opaque alpha.png', await car().ensureAlpha(1).png().toBuffer(), 'car');
  add('transparent.png', await car().ensureAlpha(0).png().toBuffer(), 'any');
  add('exif 6.png', await (await turned(6)).png().toBuffer(), 'car');
  add('100 megapixels.png', changeSize(png, 10_000, 10_000), TOO_LARGE);

  // WebP, GIF, AVIF, TIFF
  add('lossy.webp', await car().webp({ quality: 90 }).toBuffer(), 'car');
  add('lossless.webp', await car().webp({ lossless: true, effort: 0 }).toBuffer(), 'car');
  add('alpha.webp', await car().ensureAlpha(1).webp().toBuffer(), 'car');
  add('exif 8.webp', await (await turned(8)).webp({ quality: 95 }).toBuffer(), 'car');
  add('animated.webp', await animated('webp'), 'car');
  add('still.gif', await car().gif().toBuffer(), 'car');
  add('animated.gif', await animated('gif'), 'car');
  const avif = await car().avif({ effort: 0, quality: 70 }).toBuffer();
  add('8 bits.avif', avif, 'car');
  add('10 bits.avif', await car().avif({ effort: 0, quality: 70, bitdepth: 10 }).toBuffer(), 'car');
  add('mif1.avif', Buffer.concat([avif.subarray(0, 8), text('mif1'), avif.subarray(12)]), 'car');
  add('plain.tif', await car().tiff({ compression: 'none' }).toBuffer(), 'car');
  add(
    'lzw tiles.tiff',
    await car().tiff({ compression: 'lzw', tile: true, pyramid: true }).toBuffer(),
    'car',
  );
  add('jpeg inside.tiff', await car().tiff({ compression: 'jpeg', quality: 90 }).toBuffer(), 'car');
  add('16 bits.tiff', await car().toColourspace('rgb16').tiff({ compression: 'deflate' }).toBuffer(), 'car');
  add('floats.tiff', await car().toColourspace('scrgb').tiff({ compression: 'deflate' }).toBuffer(), 'car');
  add('cmyk.tiff', await car().toColourspace('cmyk').tiff({ compression: 'lzw' }).toBuffer(), 'car');
  add('big.tiff', await car().tiff({ compression: 'lzw', bigtiff: true }).toBuffer(), 'car');

  // Cut short
  for (const share of [0.001, 0.1, 0.5, 0.99]) {
    const cut = (bytes: Buffer) => bytes.subarray(0, Math.max(4, bytes.length * share));
    add(`cut at ${share}.jpg`, cut(jpeg), DAMAGED);
    add(`cut at ${share}.png`, cut(png), share < 0.01 ? /found|damaged/ : DAMAGED);
  }
  add('cut.webp', (await car().webp().toBuffer()).subarray(0, 3000), DAMAGED);
  add('cut.gif', (await car().gif().toBuffer()).subarray(0, 30_000), DAMAGED);
  add('cut.avif', avif.subarray(0, 3000), DAMAGED);
  add('cut.tiff', (await car().tiff({ compression: 'lzw' }).toBuffer()).subarray(0, 30_000), DAMAGED);
  add('progressive cut.jpg', (await car().jpeg({ progressive: true }).toBuffer()).subarray(0, 9000), DAMAGED);
  const garbage = Buffer.concat([jpeg.subarray(0, 4), Buffer.alloc(2000, 0x55)]);
  add('garbage behind its first bytes.jpg', garbage, DAMAGED);

  // Shapes
  add('1 by 1.png', await plain(1, 1).png().toBuffer(), 'any');
  add('1 by 1.jpg', await plain(1, 1).jpeg().toBuffer(), 'any');
  add('1 by 4000.png', await plain(1, 4000).png().toBuffer(), 'any');
  add('9000 by 3.png', await plain(9000, 3).png().toBuffer(), 'any');
  add('3 by 9000.webp', await plain(3, 9000).webp().toBuffer(), 'any');
  add('65500 by 1.jpg', await plain(65_500, 1).jpeg().toBuffer(), 'any');
  add('4000 by 3000.jpg', await car().resize(4000, 3000).jpeg().toBuffer(), 'car');

  // Names
  add('PNG by another name.jpg', png, 'car');
  add('JPEG by another name.png', jpeg, 'car');
  add('no suffix', png, 'car');
  add('-dash.png', png, 'car');
  add('quote\'s "and" $(space) ü 📷.png', png, 'car');
  add('line\nbreak.png', png, 'car');
  add('\u001b[31mred\u0007.png', png, 'car');
  add(`${'long '.repeat(49)}.png`, png, 'car');

  // No images, or none that are decoded
  add('empty.jpg', Buffer.alloc(0), found('an empty file'));
  add('zeros.jpg', Buffer.alloc(50_000), found('only zero bytes'));
  add('text.jpg', text('one image says more\n'.repeat(100)), found('text'));
  add('page.jpg', text('<!DOCTYPE html><html><title>404</title>'), found('a web page \\(HTML\\)'));
  add('drawing.svg', text('<?xml version="1.0"?>\n<svg width="9" height="9"/>'), found('an SVG drawing'));
  add('video.jpg', hex('0000001c6674797069736f6d'), found('a video'));
  add('noise.jpg', hex('0102030405'), found('unknown binary data'));
  add('photo.heic', hex('00000024667479706865696300000000'), unsupported('HEIC'));
  add('photo.jpg', hex('0000001c667479706d696631000000006d69663168656963'), unsupported('HEIC'));
  add('image.bmp', hex('424d36100e000000000036000000'), unsupported('BMP'));
  add('favicon.ico', hex('00000100010010100000'), unsupported('icon'));
  add('image.jxl', hex('0000000c4a584c200d0a870a'), unsupported('JPEG XL'));
  add('bare.jxl', hex('ff0a'), unsupported('JPEG XL'));
  add('image.jp2', hex('0000000c6a5020200d0a870a'), unsupported('JPEG 2000'));
  add('image.ppm', text('P6 1 1 255 abc'), unsupported('netpbm'));
  add('image.psd', hex('384250530001'), unsupported('Photoshop'));
  add('paper.pdf', text('%PDF-1.7\n'), unsupported('PDF'));
  return kinds;
}
