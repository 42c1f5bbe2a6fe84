import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import sharp from 'sharp';
import { lookout } from '../support/cli.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { busyCamera } from '../support/log.ts';
import { until } from '../support/until.ts';

const LONG_AGO = new Date('2025-03-01T12:00:00Z');

/** A daemon whose camera makes events all the time. */
function settings(folder: string, snapshots = join(folder, 'data/snapshots')) {
  const { camera, labels } = busyCamera(1, ['person', 'car']);
  return {
    device: 'tidy',
    data_dir: join(folder, 'data'),
    cameras: { door: camera },
    labels,
    store: { snapshots },
    mqtt: { embedded_port: 0 },
  };
}

/** Every file below a folder, links not followed. */
function namesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

/** The same with their sizes, while nobody writes there. */
function filesIn(folder: string): Map<string, number> {
  return new Map(namesIn(folder).map((file) => [file, statSync(file).size]));
}

const snapshotsIn = (folder: string) =>
  existsSync(folder) ? namesIn(folder).filter((file) => /[0-9a-f-]{36}\.jpg$/.test(file)) : [];

/** Runs a daemon until it has cleaned up after its start and written some snapshots. */
async function run(config: ReturnType<typeof settings>, folder: string): Promise<void> {
  const { snapshots } = config.store;
  const before = snapshotsIn(snapshots).length;
  const daemon = new DaemonProcess(config, folder);
  try {
    await daemon.line(({ msg }) => msg.includes('camera is online'));
    await until('snapshots', () => snapshotsIn(snapshots).length >= before + 4);
  } finally {
    assert.equal((await daemon.stop()).code, 0);
  }
}

function age(files: Iterable<string>): void {
  for (const file of files) utimesSync(file, LONG_AGO, LONG_AGO);
}

test('a folder that holds the photos of its owner is as it was after the first start, and the next ones', async () => {
  const folder = tempFolder();
  const photos = join(folder, 'photos');
  const elsewhere = join(folder, 'elsewhere');
  const jpeg = await sharp({ create: { width: 64, height: 64, channels: 3, background: 'red' } })
    .jpeg()
    .toBuffer();
  for (const [path, content] of [
    ['holiday/2024-07-01/IMG_0001.jpg', jpeg],
    ['holiday/2024-07-01/0192f7c4-9a1b-7c3e-8b52-4f6d2a9c1e07.jpg', jpeg],
    ['door/2024-07-01/latest.jpg', jpeg],
    ['door/2024-07-01/IMG_0002.jpg.tmp', Buffer.alloc(0)],
    ['door/2024-07-02/notes.txt', Buffer.from('mine')],
    ['write-test.tmp', Buffer.from('mine')],
  ] as const) {
    mkdirSync(join(photos, path, '..'), { recursive: true });
    writeFileSync(join(photos, path), content);
  }
  mkdirSync(join(photos, 'door/2024-07-03'));
  mkdirSync(join(elsewhere, '2024-07-01'), { recursive: true });
  writeFileSync(join(elsewhere, '2024-07-01/a.jpg'), jpeg);
  symlinkSync(elsewhere, join(photos, 'cellar'));
  const before = new Map([...filesIn(photos), ...filesIn(elsewhere)]);
  age(before.keys());
  const config = { ...settings(folder, photos) };
  for (let start = 0; start < 2; start++) await run(config, folder);
  const after = new Map([...filesIn(photos), ...filesIn(elsewhere)]);
  for (const [file, size] of before) assert.equal(after.get(file), size, file);
  assert.ok(existsSync(join(photos, 'door/2024-07-03')), 'an empty folder, too');

  const { stdout } = await lookout(['doctor', '--config', 'lookout.yaml'], { cwd: folder });
  assert.match(stdout, /ok +snapshots .*\/photos: \d+ files, .*; from other programs: 3 files/);
  assert.match(stdout, /warn +snapshots +.*\/cellar is a link that leads out of the folder/);
  const clean = await lookout(['clean', '--config', 'lookout.yaml', '--unmarked'], { cwd: folder });
  assert.match(clean.stdout, /0192f7c4-9a1b-7c3e-8b52-4f6d2a9c1e07\.jpg\n/);
  assert.doesNotMatch(clean.stdout, /IMG_|notes/);
});

test('without its database no snapshot is deleted, doctor says how much is unclaimed, and clean deletes it when asked', async () => {
  const folder = tempFolder();
  const config = settings(folder);
  const { snapshots } = config.store;
  const data = join(folder, 'data');
  await run(config, folder);
  const first = filesIn(snapshots);
  age(first.keys());
  const [id = ''] = idsIn(join(data, 'lookout.db'));
  mkdirSync(join(folder, 'moved'));
  for (const name of readdirSync(data).filter((entry) => entry.startsWith('lookout.db'))) {
    renameSync(join(data, name), join(folder, 'moved', name));
  }
  await run(config, folder);
  for (const file of first.keys()) assert.ok(existsSync(file), file);

  const bytes = [...first.values()].reduce((sum, size) => sum + size, 0);
  const { stdout } = await lookout(['doctor', '--config', 'lookout.yaml'], { cwd: folder });
  assert.ok(stdout.includes(`unclaimed: ${first.size} files, ${(bytes / 1e3).toFixed(1)} kB`), stdout);
  assert.match(stdout, /→ Run `lookout clean`/);

  const listed = await lookout(['clean', '--config', 'lookout.yaml'], { cwd: folder });
  assert.match(
    listed.stdout,
    new RegExp(
      `${first.size} files, .*: snapshots of installation ${id}\n    lookout clean --of ${id.slice(0, 8)}\n`,
    ),
  );
  const unsure = await lookout(['clean', '--config', 'lookout.yaml', '--of', id.slice(0, 8)], {
    cwd: folder,
  });
  for (const file of first.keys()) {
    assert.ok(unsure.stdout.includes(file), `${file} is listed`);
    assert.ok(existsSync(file), `${file} is not deleted yet`);
  }
  assert.match(unsure.stderr, /Add --yes/);
  const second = snapshotsIn(snapshots).filter((file) => !first.has(file));
  const done = await lookout(['clean', '--config', 'lookout.yaml', '--of', id, '--yes'], { cwd: folder });
  assert.match(done.stderr, new RegExp(`Deleted ${first.size} files`));
  assert.deepEqual(snapshotsIn(snapshots).sort(), second.sort(), 'what is in the log stays');

  // The old database comes back late: what was written meanwhile is none of its files.
  for (const name of readdirSync(data).filter((entry) => entry.startsWith('lookout.db')))
    rmSync(join(data, name));
  for (const name of readdirSync(join(folder, 'moved')))
    renameSync(join(folder, 'moved', name), join(data, name));
  age(second);
  await run(config, folder);
  for (const file of second) assert.ok(existsSync(file), file);
});

test('two Lookouts share a folder, and each deletes and counts its own snapshots only', async () => {
  const share = tempFolder();
  const [a, b] = [tempFolder(), tempFolder()];
  await run(settings(a, share), a);
  const ofA = filesIn(share);
  age(ofA.keys());
  // Everything that it may delete, it deletes.
  const strict = settings(b, share);
  await run(strict, b);
  const ofB = snapshotsIn(share).filter((file) => !ofA.has(file));
  const db = new Database(join(b, 'data/lookout.db'));
  db.exec('UPDATE files SET at = at - 40 * 86400000');
  db.exec('UPDATE events SET started_at = started_at - 40 * 86400000');
  db.close();
  await run(strict, b);
  for (const file of ofA.keys()) assert.ok(existsSync(file), file);
  for (const file of ofB) assert.ok(!existsSync(file), `${file} was too old`);
});

function idsIn(file: string): string[] {
  const db = new Database(file, { readonly: true });
  try {
    return db.prepare<[], string>('SELECT id FROM installation').pluck().all();
  } finally {
    db.close();
  }
}

test('a snapshot can still be looked at', async () => {
  const folder = tempFolder();
  const config = settings(folder);
  await run(config, folder);
  const [file] = snapshotsIn(config.store.snapshots);
  const { width, format } = await sharp(readFileSync(file!)).metadata();
  assert.deepEqual([width, format], [640, 'jpeg']);
});
