import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { annotate } from '../../../src/store/annotate.ts';
import { eventOfSnapshot, LATEST, snapshotPath } from '../../../src/store/paths.ts';
import { Snapshots } from '../../../src/store/snapshots.ts';
import type { SnapshotRequest } from '../../../src/store/types.ts';
import { folder } from '../../support/store.ts';

/** A picture that is red on the left and blue on the right. */
function redAndBlue(width: number, height: number): ArrayBuffer {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) data[i * 3 + (i % width < width / 2 ? 0 : 2)] = 255;
  return data.buffer;
}

function request(changes: Partial<SnapshotRequest> = {}): SnapshotRequest {
  return {
    path: 'drive/2026-01-31/a.jpg',
    capturedAt: new Date(2026, 0, 31, 18, 5, 9).getTime(),
    format: { width: 64, height: 32, pixels: 'rgb24', colour: 'jpeg' },
    data: redAndBlue(64, 32),
    transform: { rotate: 0, mirror: 'none' },
    annotation: null,
    ...changes,
  };
}

/** Colour of a pixel of a JPEG, each channel rounded to 0 or 255. */
async function pixel(jpeg: Uint8Array, x: number, y: number): Promise<number[]> {
  const { data, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true });
  const at = (y * info.width + x) * info.channels;
  return [...data.subarray(at, at + 3)].map((value) => (value > 127 ? 255 : 0));
}

test('a snapshot is an upright JPEG of the picture', async () => {
  const snapshots = new Snapshots(folder(), { quality: 95, annotated: false });
  const plain = await snapshots.encode(request());
  assert.deepEqual(await pixel(plain, 5, 16), [255, 0, 0]);
  assert.deepEqual(await pixel(plain, 58, 16), [0, 0, 255]);

  const turned = await snapshots.encode(request({ transform: { rotate: 90, mirror: 'none' } }));
  const { width, height, format } = await sharp(turned).metadata();
  assert.deepEqual([width, height, format], [32, 64, 'jpeg']);
  assert.deepEqual(await pixel(turned, 16, 5), [255, 0, 0], 'left has become top');
  assert.deepEqual(await pixel(turned, 16, 58), [0, 0, 255]);
});

test('a picture in YUV keeps its colours', async () => {
  const [width, height] = [64, 32];
  const data = new Uint8Array((width * height * 3) / 2).fill(81);
  // Red in BT.601 limited range.
  data.fill(90, width * height, (width * height * 5) / 4);
  data.fill(240, (width * height * 5) / 4);
  const snapshots = new Snapshots(folder(), { quality: 95, annotated: false });
  const format = { width, height, pixels: 'i420', colour: 'bt601' } as const;
  assert.deepEqual(
    await pixel(await snapshots.encode(request({ format, data: data.buffer })), 30, 16),
    [255, 0, 0],
  );
});

test('box, label and time are drawn where they were asked for', async () => {
  const annotation = { label: 'car', score: 0.87, box: { x: 0.5, y: 0.5, w: 0.25, h: 0.25 } };
  const big = request({ format: { width: 640, height: 480, pixels: 'rgb24', colour: 'jpeg' }, annotation });
  const picture = () => redAndBlue(640, 480);
  const drawn = new Snapshots(folder(), { quality: 95, annotated: true });
  const plain = new Snapshots(folder(), { quality: 95, annotated: false });
  const jpeg = await drawn.encode({ ...big, data: picture() });
  assert.deepEqual(await pixel(jpeg, 400, 240), [255, 255, 0], 'the upper edge of the box');
  assert.deepEqual(await pixel(jpeg, 4, 478), [0, 0, 0], 'the background of the time');
  assert.deepEqual(await pixel(await plain.encode({ ...big, data: picture() }), 400, 240), [0, 0, 255]);
});

test('a snapshot appears whole, replaces an earlier one, and its bytes are counted', async () => {
  const path = join(folder(), 'snapshots');
  const snapshots = new Snapshots(path, { quality: 85, annotated: false });
  await snapshots.open();
  await snapshots.write('drive/2026-01-31/a.jpg', new Uint8Array(100));
  await snapshots.write('drive/2026-01-31/b.jpg', new Uint8Array(10));
  await snapshots.write('drive/2026-01-31/a.jpg', new Uint8Array(70));
  assert.deepEqual(readdirSync(join(path, 'drive/2026-01-31')).sort(), ['a.jpg', 'b.jpg']);
  assert.equal(readFileSync(join(path, 'drive/2026-01-31/a.jpg')).length, 70);
  assert.equal(snapshots.bytes, 80);
  assert.equal(snapshots.written, 180);
  await snapshots.remove('drive/2026-01-31/b.jpg');
  await snapshots.remove('drive/2026-01-31/b.jpg');
  assert.equal(snapshots.bytes, 70);
});

test('a snapshot that cannot be written leaves nothing behind', async () => {
  const path = folder();
  writeFileSync(join(path, 'drive'), 'a file in the place of the folder');
  const snapshots = new Snapshots(path, { quality: 85, annotated: false });
  await assert.rejects(snapshots.write('drive/2026-01-31/a.jpg', new Uint8Array(1)), /EEXIST|ENOTDIR/);
  assert.equal(snapshots.bytes, 0);
});

test('a snapshot folder that cannot be used is an error at once', async () => {
  const blocker = join(folder(), 'file');
  writeFileSync(blocker, '');
  await assert.rejects(new Snapshots(join(blocker, 'x'), { quality: 85, annotated: false }).open(), {
    code: 'STORE_UNWRITABLE',
    message: /snapshot folder .*file\/x: cannot be written/,
  });
});

test('the path of a snapshot is made of the camera, the local day of the start and the event', () => {
  const startedAt = new Date(2026, 0, 31, 23, 59, 59).getTime();
  const path = snapshotPath({ id: '0192f7c4', camera: 'drive', startedAt });
  assert.equal(path, 'drive/2026-01-31/0192f7c4.jpg');
  assert.equal(eventOfSnapshot(path), '0192f7c4');
  assert.equal(eventOfSnapshot(snapshotPath({ id: LATEST, camera: 'drive', startedAt })), null);
});

test('drawing stays inside the picture and reads well', () => {
  const canvas = (width: number, height: number) => ({
    data: new Uint8Array(width * height * 3),
    width,
    height,
  });
  for (const box of [
    { x: 0, y: 0, w: 1, h: 1 },
    { x: 0.99, y: 0.99, w: 0.01, h: 0.01 },
  ]) {
    for (const [width, height] of [
      [8, 8],
      [64, 2],
      [320, 240],
    ] as const) {
      const picture = canvas(width, height);
      annotate(picture, { label: 'Müll ☃ tönne'.repeat(5), score: 1, box }, '2026-01-31 18:05:09');
      assert.equal(picture.data.length, width * height * 3);
    }
  }
  const picture = canvas(120, 40);
  annotate(picture, { label: 'é', score: 0.5, box: { x: 0, y: 0.5, w: 0.5, h: 0.4 } }, '');
  const row = (y: number) =>
    Array.from({ length: 24 }, (_, x) => (picture.data[(y * 120 + x) * 3]! > 200 ? '#' : '.')).join('');
  // "E 50%", the accent left out.
  assert.equal(row(11), '..#####.......#####..###');
  assert.equal(row(12), '..#...........#.....#...');
});
