import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import { decodeJpeg, encodeJpeg, plainJpegSize } from '../../../src/pixels/jpeg.ts';
import { Seeded } from '../../support/random.ts';

const [width, height] = [40, 30];

/** Red grows to the right, green downwards. */
function slopes(): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    data.set([6 * (i % width), 8 * Math.floor(i / width), 60], 3 * i);
  }
  return data;
}

const image = () => sharp(slopes(), { raw: { width, height, channels: 3 } });

function largestDifference(one: Uint8Array, other: Uint8Array): number {
  assert.equal(one.length, other.length);
  return one.reduce((largest, value, i) => Math.max(largest, Math.abs(value - other[i]!)), 0);
}

test('JPEG files as cameras save them are told with their size', async () => {
  const jpegs = await Promise.all([
    image().jpeg().toBuffer(),
    image().jpeg({ chromaSubsampling: '4:4:4', quality: 92 }).toBuffer(),
    image().greyscale().jpeg().toBuffer(),
  ]);
  for (const jpeg of jpegs) assert.deepEqual(plainJpegSize(jpeg), { width, height });
});

test('whatever needs more than decoding is not taken for a plain JPEG file', async () => {
  const others = {
    progressive: await image().jpeg({ progressive: true }).toBuffer(),
    turned: await image().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    'with a colour profile': await image().withIccProfile('p3').jpeg().toBuffer(),
    'of four colours': await image().toColourspace('cmyk').jpeg().toBuffer(),
    'finely quantised': await image().jpeg({ quality: 95 }).toBuffer(),
    'a PNG file': await image().png().toBuffer(),
    empty: Buffer.alloc(0),
    'the start alone': Buffer.from([0xff, 0xd8]),
    'without a image': Buffer.from([0xff, 0xd8, 0xff, 0xda, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
  };
  for (const [name, file] of Object.entries(others)) assert.equal(plainJpegSize(file), null, name);
});

test('a header that is cut short anywhere is no header', async () => {
  const jpeg = await image().jpeg().toBuffer();
  const scan = jpeg.indexOf(Buffer.from([0xff, 0xda]));
  for (let length = 0; length < scan; length++) {
    assert.equal(plainJpegSize(jpeg.subarray(0, length)), null, `${length} bytes`);
  }
});

/** Pixels at random, softened as far as a lens does it. */
function soft(columns: number, rows: number): Sharp {
  const random = new Seeded(columns);
  const data = new Uint8Array(columns * rows * 3).map(() => random.int(0, 255));
  return sharp(data, { raw: { width: columns, height: rows, channels: 3 } }).blur(1.2);
}

test('a JPEG file is decoded as libvips does it, up to rounding', async () => {
  const fixture = (name: string) => readFileSync(new URL(`../../fixtures/images/${name}`, import.meta.url));
  const files: [string, Buffer][] = [
    ['restart markers', fixture('restart.jpg')],
    ['RGB', fixture('rgb.jpg')],
    ['grey', await soft(64, 48).greyscale().jpeg().toBuffer()],
  ];
  for (const [columns, rows] of [
    [1, 1],
    [17, 3],
    [3, 200],
    [128, 96],
  ] as const) {
    for (const chromaSubsampling of ['4:2:0', '4:4:4']) {
      for (const quality of [20, 60, 80, 92]) {
        const jpeg = await soft(columns, rows).jpeg({ quality, chromaSubsampling }).toBuffer();
        files.push([`${columns}×${rows} ${chromaSubsampling} ${quality}`, jpeg]);
      }
    }
  }
  for (const [name, jpeg] of files) {
    const size = plainJpegSize(jpeg);
    assert.ok(size, name);
    const into = new ArrayBuffer(3 * size.width * size.height);
    await decodeJpeg(jpeg, into);
    const ours = new Uint8Array(into);
    const expected = await sharp(jpeg).toColourspace('srgb').raw().toBuffer();
    assert.ok(largestDifference(ours, expected) <= 12, `${name}: ${largestDifference(ours, expected)}`);
    const sum = ours.reduce((total, value, i) => total + Math.abs(value - expected[i]!), 0);
    assert.ok(sum / ours.length <= 2, `${name}: ${sum / ours.length} on average`);
  }
});

test('a file that ends early, or does not fit, is refused', async () => {
  const jpeg = await image().jpeg().toBuffer();
  await assert.rejects(decodeJpeg(jpeg.subarray(0, jpeg.length - 40), new ArrayBuffer(3 * width * height)));
  await assert.rejects(async () => decodeJpeg(jpeg, new ArrayBuffer(3 * width * height - 1)), /Insufficient/);
});

test('what is compressed looks as before, and takes more bytes with more quality', async () => {
  const [low, high] = await Promise.all(
    [50, 95].map((quality) => encodeJpeg(slopes(), { width, height }, quality)),
  );
  assert.ok(low && high && low.length < high.length);
  const { data, info } = await sharp(high).raw().toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height, info.channels], [width, height, 3]);
  assert.ok(largestDifference(data, slopes()) <= 16);
});
