import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { decodeImageFile } from '../../src/pixels/decode-image.ts';
import { Random } from '../../src/runtime/random.ts';
import { lookout } from '../support/cli.ts';
import { mutate } from '../support/mutate.ts';
import { times } from '../support/requires.ts';
import { folder } from '../support/store.ts';

const MUTATIONS = times(120, 600);
const SIZE = 96;
const FIT = { width: SIZE, height: SIZE };

const sink = { acquire: (bytes: number) => new ArrayBuffer(bytes), release: () => {} };

/** Pictures as cameras and people have them: what their decoders do differs. */
async function originals(): Promise<Buffer[]> {
  const random = new Random(1);
  const noise = Buffer.from(Array.from({ length: SIZE * SIZE * 3 }, () => 256 * random.next()));
  const picture = () => sharp(noise, { raw: { width: SIZE, height: SIZE, channels: 3 } });
  return Promise.all([
    picture().jpeg().toBuffer(),
    picture().jpeg({ progressive: true, chromaSubsampling: '4:4:4' }).toBuffer(),
    picture().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    picture().toColourspace('cmyk').jpeg().toBuffer(),
    picture().png({ progressive: true, palette: true }).toBuffer(),
    picture().ensureAlpha(0.5).png().toBuffer(),
  ]);
}

test(`${MUTATIONS} damaged JPEG and PNG files are decoded to the right size or refused, quickly and in little memory`, async () => {
  const files = await originals();
  const random = new Random(2028);
  const file = join(folder(), 'picture.jpg');
  const before = process.memoryUsage().rss;
  let slowest = 0;
  let decoded = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    writeFileSync(file, mutate(random.pick(files), random));
    const started = performance.now();
    try {
      const { format, data } = await decodeImageFile(file, FIT, sink);
      assert.ok(format.width <= SIZE && format.height <= SIZE);
      assert.equal(data.byteLength, format.width * format.height * 3);
      decoded++;
    } catch (error) {
      assert.ok(error instanceof Error && error.name !== 'AssertionError', String(error));
    }
    slowest = Math.max(slowest, performance.now() - started);
  }
  assert.ok(decoded > MUTATIONS / 50 && decoded < MUTATIONS, `${decoded} were decoded`);
  assert.ok(slowest < 2000, `one took ${slowest} ms`);
  const grown = (process.memoryUsage().rss - before) / 1e6;
  assert.ok(grown < 150, `memory grew by ${grown} MB`);
});

function chunk(type: string, data: Buffer): Buffer {
  const content = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(content));
  return Buffer.concat([length, content, sum]);
}

/** A sound PNG of one grey, a thousandth as large as its pixels. */
function png(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const rows = deflateSync(Buffer.alloc((width + 1) * height), { level: 9 });
  const signature = Buffer.from('89504e470d0a1a0a', 'hex');
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A JPEG whose header says that it is larger than what follows. */
async function jpeg(width: number, height: number): Promise<Buffer> {
  const bytes = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#888' } })
    .jpeg()
    .toBuffer();
  const start = bytes.indexOf(Buffer.from([0xff, 0xc0]));
  bytes.writeUInt16BE(height, start + 5);
  bytes.writeUInt16BE(width, start + 7);
  return bytes;
}

const bombs: [string, () => Buffer | Promise<Buffer>][] = [
  ['a PNG of 100 megapixels', () => png(10_000, 10_000)],
  ['a PNG of 100 megapixels in one row', () => png(100_000_000, 1)],
  ['a JPEG that says it has 100 megapixels', () => jpeg(10_000, 10_000)],
  ['a JPEG that says it is as large as any can be', () => jpeg(65_500, 65_500)],
];
for (const [name, make] of bombs) {
  test(`${name} is refused before anything of it is decoded`, async () => {
    const file = join(folder(), 'bomb.png');
    writeFileSync(file, await make());
    assert.ok(statSync(file).size < 1_000_000);
    const before = process.memoryUsage().rss;
    const started = performance.now();
    await assert.rejects(decodeImageFile(file, FIT, sink), /megapixels, which is too large/);
    assert.ok(performance.now() - started < 1000);
    assert.ok(process.memoryUsage().rss - before < 50e6);
    const { code, stderr } = await lookout(['classify', file]);
    assert.equal(code, 66, stderr);
    assert.match(stderr, /^IMAGE_UNREADABLE: /m);
  });
}
