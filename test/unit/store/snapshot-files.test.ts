import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { annotate } from '../../../src/pixels/annotate.ts';
import { plainJpegSize } from '../../../src/pixels/jpeg.ts';
import { FileList } from '../../../src/store/file-list.ts';
import { countNewest } from '../../../src/store/snapshot-files.ts';
import { HEAD_BYTES, readMark } from '../../../src/store/snapshot-mark.ts';
import { snapshotPath } from '../../../src/store/snapshot-path.ts';
import type { SnapshotRequest } from '../../../src/store/store-types.ts';
import { fileNote, folder, freshDatabase, jpegOf, markedJpeg, snapshotsIn } from '../../support/store.ts';

/** An image that is red on the left and blue on the right. */
function redAndBlue(width: number, height: number): ArrayBuffer {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) data[i * 3 + (i % width < width / 2 ? 0 : 2)] = 255;
  return data.buffer;
}

function request(changes: Partial<SnapshotRequest> = {}): SnapshotRequest {
  return {
    path: 'drive/2026-01-31/a.jpg',
    event: 'a',
    capturedAt: new Date(2026, 0, 31, 18, 5, 9).getTime(),
    format: { width: 64, height: 32, pixels: 'rgb24', colour: 'jpeg' },
    data: redAndBlue(64, 32),
    transform: { rotate: 0, mirror: 'none' },
    annotation: null,
    ...changes,
  };
}

/** The colour of a pixel of a JPEG, each channel rounded to 0 or 255. */
async function pixel(jpeg: Uint8Array, x: number, y: number): Promise<number[]> {
  const { data, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true });
  const at = (y * info.width + x) * info.channels;
  return [...data.subarray(at, at + 3)].map((value) => (value > 127 ? 255 : 0));
}

test('a snapshot is an upright JPEG of the frame', async (t) => {
  const snapshots = snapshotsIn(folder(), freshDatabase(t), { quality: 95 });
  const plain = await snapshots.encode(request());
  assert.deepEqual(await pixel(plain, 5, 16), [255, 0, 0]);
  assert.deepEqual(await pixel(plain, 58, 16), [0, 0, 255]);

  const turned = await snapshots.encode(request({ transform: { rotate: 90, mirror: 'none' } }));
  const { width, height, format } = await sharp(turned).metadata();
  assert.deepEqual([width, height, format], [32, 64, 'jpeg']);
  assert.deepEqual(await pixel(turned, 16, 5), [255, 0, 0], 'left has become top');
  assert.deepEqual(await pixel(turned, 16, 58), [0, 0, 255]);
});

test('a YUV frame keeps its colours', async (t) => {
  const [width, height] = [64, 32];
  const data = new Uint8Array((width * height * 3) / 2).fill(81);
  // Red in BT.601 limited range.
  data.fill(90, width * height, (width * height * 5) / 4);
  data.fill(240, (width * height * 5) / 4);
  const snapshots = snapshotsIn(folder(), freshDatabase(t), { quality: 95 });
  const format = { width, height, pixels: 'i420', colour: 'bt601' } as const;
  assert.deepEqual(
    await pixel(await snapshots.encode(request({ format, data: data.buffer })), 30, 16),
    [255, 0, 0],
  );
});

test('box, label and time are drawn in the requested places', async (t) => {
  const annotation = { label: 'car', score: 0.87, box: { x: 0.5, y: 0.5, w: 0.25, h: 0.25 } };
  const big = request({ format: { width: 640, height: 480, pixels: 'rgb24', colour: 'jpeg' }, annotation });
  const picture = () => redAndBlue(640, 480);
  const drawn = snapshotsIn(folder(), freshDatabase(t), { quality: 95, annotated: true });
  const plain = snapshotsIn(folder(), freshDatabase(t), { quality: 95 });
  const jpeg = await drawn.encode({ ...big, data: picture() });
  assert.deepEqual(await pixel(jpeg, 400, 240), [255, 255, 0], 'the upper edge of the box');
  assert.deepEqual(await pixel(jpeg, 4, 478), [0, 0, 0], 'the background of the time');
  assert.deepEqual(await pixel(await plain.encode({ ...big, data: picture() }), 400, 240), [0, 0, 255]);
});

test('a snapshot is written atomically, replaces an earlier one, and its bytes are counted', async (t) => {
  const path = join(folder(), 'snapshots');
  const db = freshDatabase(t);
  const snapshots = snapshotsIn(path, db);
  await snapshots.open();
  const write = (event: string, bytes: number) =>
    snapshots.write(fileNote(`drive/2026-01-31/${event}.jpg`, { event }), jpegOf(bytes));
  await write('a', 1000);
  const { length: large } = readFileSync(join(path, 'drive/2026-01-31/a.jpg'));
  assert.ok(large > 1000 && large < 1200, `${large}`);
  await write('b', 100);
  await write('a', 700);
  assert.deepEqual(readdirSync(join(path, 'drive/2026-01-31')).sort(), ['a.jpg', 'b.jpg']);
  const size = (event: string) => statSync(join(path, `drive/2026-01-31/${event}.jpg`)).size;
  assert.equal(size('a'), large - 300);
  assert.equal(snapshots.bytes, size('a') + size('b'));
  assert.equal(snapshots.written, large + size('a') + size('b'));
  snapshots.remove(['drive/2026-01-31/b.jpg']);
  snapshots.remove(['drive/2026-01-31/b.jpg']);
  assert.equal(snapshots.bytes, size('a'));
});

test('a snapshot contains the mark of its writer, and is still a valid JPEG', async (t) => {
  const path = folder();
  const db = freshDatabase(t);
  const snapshots = snapshotsIn(path, db);
  const jpeg = await snapshots.encode(request());
  await snapshots.write(fileNote('drive/2026-01-31/a.jpg'), jpeg);
  const file = readFileSync(join(path, 'drive/2026-01-31/a.jpg'));
  const { installation } = new FileList(db);
  assert.deepEqual(readMark(file.subarray(0, HEAD_BYTES)), { installation, event: 'a' });
  assert.equal(readMark(Buffer.from(jpeg)), null, 'the published JPEG has none');
  assert.deepEqual(await pixel(file, 5, 16), await pixel(jpeg, 5, 16));
  assert.deepEqual(plainJpegSize(file), { width: 64, height: 32 });
  assert.equal(file.toString('latin1', 6, 10), 'JFIF');
});

test('only a file that is listed and has its mark is deleted', async (t) => {
  const path = folder();
  const db = freshDatabase(t);
  const list = new FileList(db);
  const snapshots = snapshotsIn(path, db);
  const own = list.installation;
  const other = 'f'.repeat(32);
  const day = 'drive/2026-01-31';
  mkdirSync(join(path, day), { recursive: true });
  const put = (name: string, content: Buffer, { listed = true, marked = 1, event = name } = {}) => {
    writeFileSync(join(path, day, `${name}.jpg`), content);
    if (listed) list.note(fileNote(`${day}/${name}.jpg`, { event }));
    db.prepare('UPDATE files SET marked = ? WHERE event = ?').run(marked, event);
  };
  put('own', markedJpeg(own, 'own'));
  put('old', Buffer.from(jpegOf(1000)), { marked: 0 });
  put('unlisted', markedJpeg(own, 'unlisted'), { listed: false });
  put('unmarked', Buffer.from(jpegOf(1000)));
  put('photo', Buffer.from('no JPEG file'));
  put('foreign', markedJpeg(other, 'foreign'));
  put('foreign-old', markedJpeg(other, 'foreign-old'), { marked: 0 });
  put('exchanged', markedJpeg(own, 'own'));
  put('empty', Buffer.alloc(0));
  put('target', markedJpeg(own, 'link'), { listed: false });
  symlinkSync('target.jpg', join(path, day, 'link.jpg'));
  list.note(fileNote(`${day}/link.jpg`, { event: 'link' }));
  mkdirSync(join(path, day, 'folder.jpg'));
  list.note(fileNote(`${day}/folder.jpg`, { event: 'folder' }));
  const names = readdirSync(join(path, day));
  snapshots.remove(names.map((name) => `${day}/${name}`));
  const gone = names.filter((name) => !readdirSync(join(path, day)).includes(name));
  assert.deepEqual(gone.sort(), ['old.jpg', 'own.jpg']);
});

test('a file of another program is not replaced', async (t) => {
  const path = folder();
  const db = freshDatabase(t);
  const snapshots = snapshotsIn(path, db);
  mkdirSync(join(path, 'drive/2026-01-31'), { recursive: true });
  const put = (name: string) => {
    const file = join(path, 'drive/2026-01-31', name);
    writeFileSync(file, 'mine');
    return file;
  };
  const files = ['a.jpg', 'latest.jpg', 'a.jpg.tmp', '.write-test'].map(put);
  await assert.rejects(snapshots.write(fileNote('drive/2026-01-31/a.jpg'), jpegOf(100)), {
    code: 'EEXIST',
    message: /was not written by this Lookout/,
  });
  const asked = fileNote('drive/2026-01-31/latest.jpg', { event: null });
  await snapshots.write(asked, jpegOf(100));
  await snapshots.write(asked, jpegOf(200));
  assert.deepEqual(
    files.map((file) => readFileSync(file, 'utf8')),
    Array(4).fill('mine'),
  );
  const { installation } = new FileList(db);
  assert.ok(existsSync(join(path, `drive/2026-01-31/latest-${installation.slice(0, 8)}.jpg`)));
  assert.equal(readdirSync(join(path, 'drive/2026-01-31')).length, 5);
});

test('the draft left by a power cut is deleted, and no other unfinished file', async (t) => {
  const path = folder();
  const db = freshDatabase(t);
  const list = new FileList(db);
  const snapshots = snapshotsIn(path, db);
  mkdirSync(join(path, 'drive/2026-01-31'), { recursive: true });
  const put = (name: string) => writeFileSync(join(path, 'drive/2026-01-31', name), '');
  list.note(fileNote('drive/2026-01-31/a.jpg'));
  const foreign = [`a.jpg.${'f'.repeat(32)}.draft`, 'a.jpg.tmp', `b.jpg.${list.installation}.draft`];
  for (const name of [`a.jpg.${list.installation}.draft`, ...foreign]) put(name);
  await snapshots.cleanUp(async () => {});
  assert.deepEqual(readdirSync(join(path, 'drive/2026-01-31')).sort(), foreign.sort());
});

test('an empty folder is deleted if it was created for a snapshot', async (t) => {
  const path = folder();
  const snapshots = snapshotsIn(path, freshDatabase(t));
  mkdirSync(join(path, 'drive/2026-01-30'), { recursive: true });
  mkdirSync(join(path, 'drive/2026-02-01'));
  for (const day of ['2026-01-30', '2026-01-31']) {
    await snapshots.write(fileNote(`drive/${day}/a.jpg`, { event: day }), jpegOf(100));
  }
  snapshots.remove(['drive/2026-01-30/a.jpg', 'drive/2026-01-31/a.jpg']);
  await snapshots.cleanUp(async () => {});
  assert.deepEqual(readdirSync(join(path, 'drive')).sort(), ['2026-01-30', '2026-02-01']);
});

test('files behind a link that leads out of the folder are neither counted nor deleted', async (t) => {
  const path = folder();
  const elsewhere = folder();
  const db = freshDatabase(t);
  const snapshots = snapshotsIn(path, db);
  await snapshots.write(fileNote('drive/2026-01-31/a.jpg'), jpegOf(1000));
  renameSync(join(path, 'drive'), join(elsewhere, 'drive'));
  symlinkSync(join(elsewhere, 'drive'), join(path, 'drive'));
  assert.deepEqual(await snapshots.list(async () => {}), []);
  assert.equal(snapshots.bytes, 0);
  snapshots.remove(['drive/2026-01-31/a.jpg']);
  assert.ok(existsSync(join(elsewhere, 'drive/2026-01-31/a.jpg')));
});

test('the newest files are counted by the time between them, independent of the clock', () => {
  const day = 86_400_000;
  const now = Date.UTC(2026, 5, 15);
  const file = (days: number, clock: number | null, time_uncertain = 0) => ({
    ...{ at: now + days * day, clock, time_uncertain },
  });
  assert.equal(countNewest([], day), 0);
  assert.equal(countNewest([file(-3, 1), file(-1.5, 1), file(-0.5, 1), file(0, 1)], day), 2);
  assert.equal(countNewest([file(-3, 1), file(-0.5, 2), file(0, 3)], day), 2, 'known times count');
  const ahead = [file(-2, 1), file(-0.5, 1), file(26_000, 2, 1), file(26_000.2, 2, 1)];
  assert.equal(countNewest(ahead, day), 3, 'a clock that is ahead takes nothing away');
  const behind = [file(-2, 1), file(-0.3, 1), file(-20_000, 2, 1), file(0, 3)];
  assert.equal(countNewest(behind, day), 3);
  assert.equal(countNewest([file(-1, 1), file(0, 1)], 0), 1);
});

test('a snapshot that cannot be written leaves nothing behind', async (t) => {
  const path = folder();
  writeFileSync(join(path, 'drive'), 'a file in the place of the folder');
  const snapshots = snapshotsIn(path, freshDatabase(t));
  await assert.rejects(snapshots.write(fileNote('drive/2026-01-31/a.jpg'), jpegOf(100)), /EEXIST|ENOTDIR/);
  assert.equal(snapshots.bytes, 0);
});

test('an unusable snapshot folder is an error at the start', async (t) => {
  const blocker = join(folder(), 'file');
  writeFileSync(blocker, '');
  await assert.rejects(snapshotsIn(join(blocker, 'x'), freshDatabase(t)).open(), {
    code: 'STORE_UNWRITABLE',
    message: /snapshot folder .*file\/x: cannot write/,
  });
});

test('the path of a snapshot consists of the camera, the local day of the start and the event', () => {
  const startedAt = new Date(2026, 0, 31, 23, 59, 59).getTime();
  const path = snapshotPath({ id: '0192f7c4', camera: 'drive', startedAt });
  assert.equal(path, 'drive/2026-01-31/0192f7c4.jpg');
});

test('annotation stays inside the image and is legible', () => {
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
