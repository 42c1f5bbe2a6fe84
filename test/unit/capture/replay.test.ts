import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import sharp from 'sharp';
import { createSource } from '../../../src/capture/create.ts';
import { sourceSchema } from '../../../src/config/sources.ts';
import type { RawFrame } from '../../../src/types.ts';
import { FakeSink } from '../../fakes/sink.ts';
import { fakeContext, temporaryFolder } from '../../support/programs.ts';

async function write(file: string, red: number, width = 64, height = 64): Promise<void> {
  const background = { r: red, g: 0, b: 0 };
  await sharp({ create: { width, height, channels: 3, background } }).toFile(file);
}

async function folderOf(t: TestContext, names: string[]): Promise<string> {
  const folder = await temporaryFolder(t);
  for (const [i, name] of names.entries()) await write(join(folder, name), 20 * (i + 1));
  return folder;
}

function replay(path: string, fields: object = {}) {
  const config = { kind: 'replay', path, pace: 'consumed', loop: false, width: 64, height: 64, ...fields };
  return createSource(sourceSchema.parse(config), fakeContext());
}

/** How red the middle of a frame is, in steps of 20. */
function step({ data, format }: RawFrame): number {
  const middle = (Math.floor(format.height / 2) * format.width + Math.floor(format.width / 2)) * 3;
  return Math.round((new Uint8Array(data)[middle] ?? 0) / 20);
}

const { signal } = new AbortController();

test('a folder is played in the order of the names, numbers as numbers, and other files are skipped', async (t) => {
  const folder = await folderOf(t, ['frame2.png', 'frame10.jpg', 'frame1.JPEG', 'a.png']);
  await writeFile(join(folder, 'notes.txt'), 'no frame');
  await mkdir(join(folder, 'sub'));
  const sink = new FakeSink();
  await (await replay(folder)).run(sink, signal);
  assert.deepEqual(sink.frames.map(step), [4, 3, 1, 2]);
  assert.deepEqual(sink.frames[0]?.format, { width: 64, height: 64, pixels: 'rgb24', colour: 'jpeg' });
  assert.equal(sink.out.size, 0);
});

test('frames are fitted into the size with their proportions kept, grey and transparent ones made RGB', async (t) => {
  const folder = await temporaryFolder(t);
  await write(join(folder, '1.jpg'), 100, 400, 100);
  await write(join(folder, '2.jpg'), 100, 30, 60);
  await sharp({ create: { width: 64, height: 64, channels: 3, background: '#808080' } })
    .toColourspace('b-w')
    .png()
    .toFile(join(folder, '3.png'));
  await sharp({ create: { width: 64, height: 64, channels: 4, background: '#ff000080' } }).toFile(
    join(folder, '4.png'),
  );
  const sink = new FakeSink();
  await (await replay(folder, { width: 200, height: 100 })).run(sink, signal);
  assert.deepEqual(
    sink.frames.map(({ format, data }) => [format.width, format.height, data.byteLength]),
    [
      [200, 50, 30_000],
      [50, 100, 15_000],
      [100, 100, 30_000],
      [100, 100, 30_000],
    ],
  );
});

test('stills of a camera look the same on the fast path as on the path of other images', async (t) => {
  const folder = await temporaryFolder(t);
  const noise = { type: 'gaussian', mean: 128, sigma: 20 } as const;
  const frame = sharp({ create: { width: 64, height: 48, channels: 3, noise, background: '#000' } }).blur(4);
  await frame.jpeg().toFile(join(folder, '1.jpg'));
  await sharp(join(folder, '1.jpg'))
    .withMetadata({ orientation: 1 })
    .jpeg({ quality: 100 })
    .toFile(join(folder, '2.jpg'));
  const sink = new FakeSink();
  await (await replay(folder)).run(sink, signal);
  const [saved, other] = sink.frames.map(({ data }) => new Uint8Array(data));
  assert.deepEqual(sink.frames[0]?.format, { width: 64, height: 48, pixels: 'rgb24', colour: 'jpeg' });
  assert.deepEqual(sink.frames[1]?.format, sink.frames[0]?.format);
  assert.ok(saved && other && saved.every((value, i) => Math.abs(value - other[i]!) <= 8));
});

test('files that cannot be decoded are skipped and reported once with the reason', async (t) => {
  const folder = await folderOf(t, ['1.png', '2.png', '3.png']);
  const whole = await sharp({ create: { width: 300, height: 300, channels: 3, background: '#123456' } })
    .jpeg()
    .toBuffer();
  await writeFile(join(folder, '2.png'), whole.subarray(0, whole.length / 2));
  await writeFile(join(folder, '2b.jpg'), '');
  await writeFile(join(folder, 'notes\n.txt'), 'about the frames');
  await mkdir(join(folder, 'sub'));
  const sink = new FakeSink();
  const abort = new AbortController();
  const run = (await replay(folder, { loop: true })).run(sink, abort.signal);
  await sink.reaches(5);
  abort.abort();
  await run;
  assert.deepEqual(sink.frames.slice(0, 5).map(step), [1, 3, 1, 3, 1]);
  const expected = 'expected an image file (JPEG, PNG, WebP, GIF, AVIF or TIFF), found';
  assert.deepEqual(sink.faults, [
    [
      'skipped 4 of 6 files: 2.png: the JPEG data is damaged, truncated or of an unsupported variant',
      `2b.jpg: ${expected} an empty file`,
      `notes\\n.txt: ${expected} text`,
      `sub: ${expected} a folder`,
    ].join('; '),
  ]);
  assert.equal(sink.out.size, 0);
});

test('with pace consumed each frame waits for the analysis of the one before', async (t) => {
  const folder = await folderOf(t, ['1.png', '2.png', '3.png']);
  const sink = new FakeSink();
  const analysed: (() => void)[] = [];
  sink.analysis = () => new Promise((resolve) => analysed.push(resolve));
  let ended = false;
  const run = (await replay(folder)).run(sink, signal).then(() => {
    ended = true;
  });
  for (let count = 1; count <= 3; count++) {
    await sink.reaches(count);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(sink.frames.length, count);
    analysed.shift()?.();
  }
  while (!ended) {
    analysed.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await run;
});

test('a folder is repeated until it is stopped', async (t) => {
  const folder = await folderOf(t, ['1.png', '2.png']);
  const sink = new FakeSink();
  const abort = new AbortController();
  const run = (await replay(folder, { loop: true })).run(sink, abort.signal);
  await sink.reaches(7);
  abort.abort();
  await run;
  assert.deepEqual(sink.frames.slice(0, 5).map(step), [1, 2, 1, 2, 1]);
  assert.equal(sink.out.size, 0);
});

test('a folder without images is an error before anything runs', async (t) => {
  const folder = await temporaryFolder(t);
  await assert.rejects(replay(folder), { code: 'CAPTURE_FILE', message: / is an empty folder$/ });
  await writeFile(join(folder, '1.jpg'), 'no frame');
  await assert.rejects(replay(folder), {
    code: 'CAPTURE_FILE',
    message:
      /is a folder without images; the last of its 1 files is 1\.jpg: expected an image file .*, found text$/,
  });
});

for (const loop of [true, false]) {
  test(`a folder without a single valid image is an error, loop: ${loop}`, async (t) => {
    const folder = await folderOf(t, ['1.png']);
    const whole = await readFile(join(folder, '1.png'));
    await writeFile(join(folder, '1.png'), whole.subarray(0, whole.length / 2));
    const source = await replay(folder, { loop });
    await assert.rejects(source.run(new FakeSink(), signal), {
      code: 'CAPTURE_FILE',
      message: /cannot decode any image file: skipped 1 of 1 files: 1\.png: the PNG data is damaged/,
    });
  });
}

test('an image file is played as in a folder, without ffmpeg', async (t) => {
  const folder = await temporaryFolder(t);
  for (const name of ['1.png', 'no suffix', '3.gif']) {
    const file = join(folder, name);
    const background = { r: 100, g: 0, b: 0 };
    await sharp({ create: { width: 64, height: 64, channels: 3, background } })
      .toFormat(name === '3.gif' ? 'gif' : 'png')
      .toFile(file);
    const config = sourceSchema.parse({ kind: 'replay', path: file, pace: 'consumed', loop: false });
    const sink = new FakeSink();
    await (await createSource(config, { ...fakeContext(), env: { PATH: '/nowhere' } })).run(sink, signal);
    assert.deepEqual(sink.frames.map(step), [5], name);
    assert.deepEqual(sink.frames[0]?.format, { width: 480, height: 480, pixels: 'rgb24', colour: 'jpeg' });
  }
});

test('an image file that cannot be decoded is rejected before anything runs', async (t) => {
  const file = join(await temporaryFolder(t), 'IMG_0001.HEIC');
  await writeFile(file, Buffer.from('000000246674797068656963000000006d6966316865696300', 'hex'));
  await assert.rejects(replay(file), {
    code: 'CAPTURE_FILE',
    message: /cannot be played: HEIC is not supported: convert it/,
  });
});

test('a path that does not exist is an error before anything runs', async () => {
  await assert.rejects(replay('/nowhere/at/all'), {
    code: 'CAPTURE_FILE',
    message: /\/nowhere\/at\/all.*ENOENT/,
  });
});

function y4m(frames: number): Buffer {
  const parts: Buffer[] = [Buffer.from('YUV4MPEG2 W64 H64 F10:1 C420jpeg\n')];
  for (let i = 0; i < frames; i++) parts.push(Buffer.from('FRAME\n'), Buffer.alloc(64 * 64 * 1.5, i));
  return Buffer.concat(parts);
}

test('an uncompressed video is played without ffmpeg, and a cut-off end is counted', async (t) => {
  const file = join(await temporaryFolder(t), 'a.y4m');
  await writeFile(file, y4m(5).subarray(0, -10));
  const config = sourceSchema.parse({ kind: 'replay', path: file, pace: 'consumed', loop: false });
  const source = await createSource(config, { ...fakeContext(), env: { PATH: '/nowhere' } });
  const sink = new FakeSink();
  await source.run(sink, signal);
  assert.deepEqual(
    sink.frames.map(({ data }) => new Uint8Array(data)[0]),
    [0, 1, 2, 3],
  );
  assert.equal(sink.faults.length, 1);
  assert.equal(sink.out.size, 0);
});

test('a file that is not a video is an error; a video with a fault is played up to the fault', async (t) => {
  const file = join(await temporaryFolder(t), 'a.y4m');
  await writeFile(file, 'no video');
  await assert.rejects((await replay(file)).run(new FakeSink(), signal), { code: 'CAPTURE_FILE' });
  await writeFile(file, Buffer.concat([y4m(2), Buffer.from('NO FRAME\n')]));
  const sink = new FakeSink();
  await (await replay(file)).run(sink, signal);
  assert.equal(sink.frames.length, 2);
  assert.match(sink.faults.join(), /^a\.y4m: cannot decode to the end: .*expected the start of a frame/);
});

test('a video needs ffmpeg, and an error names it when it is missing', async (t) => {
  const file = join(await temporaryFolder(t), 'a.mp4');
  await writeFile(file, '');
  const config = sourceSchema.parse({ kind: 'replay', path: file });
  await assert.rejects(createSource(config, { ...fakeContext(), env: { PATH: '/nowhere' } }), {
    code: 'CAPTURE_PROGRAM_MISSING',
    hint: 'sudo apt install ffmpeg',
  });
});
