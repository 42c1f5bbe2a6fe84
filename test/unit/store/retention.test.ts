import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Database } from 'better-sqlite3';
import { openForWriting } from '../../../src/store/database.ts';
import { enforceRetention, type Limits, MERGED_SPAN_MS, usedBytes } from '../../../src/store/retention.ts';
import { LATEST, snapshotPath } from '../../../src/store/snapshot-path.ts';
import { Writer } from '../../../src/store/writer.ts';
import { healthSample } from '../../fakes/health.ts';
import {
  batch,
  detection,
  entry,
  folder,
  isIntact,
  jpegOf,
  markedJpeg,
  rowsIn,
  snapshotsIn,
  storeConfig,
} from '../../support/store.ts';

const NOW = Date.UTC(2026, 5, 15, 12);
const DAY = 86_400_000;

function setup(t: TestContext, changes: Partial<Limits> = {}) {
  const path = folder();
  const file = join(path, 'lookout.db');
  const pictures = join(path, 'snapshots');
  const db = openForWriting(file);
  t.after(() => db.close());
  const writer = new Writer(db, { maxOutbox: 1000 });
  const snapshots = snapshotsIn(pictures, db, { list: () => writer.files });
  const run = (signal = new AbortController().signal, time: number | null = NOW) =>
    enforceRetention(db, snapshots, storeConfig(changes), time, signal);

  /** An event some days ago with a snapshot file of the given size. */
  const event = (id: string, daysAgo: number, { open = false, bytes = 1000 } = {}): string => {
    const startedAt = NOW - daysAgo * DAY;
    const snapshot = snapshotPath({ id, camera: 'drive', startedAt });
    writer.commit(
      batch({ events: [entry({ id, startedAt, snapshot, endedAt: open ? null : startedAt + 1000 }, 'end')] }),
    );
    return picture(snapshot, markedJpeg(writer.files.installation, id, bytes));
  };
  const picture = (name: string, content: Buffer) => {
    const path = join(pictures, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    // A file written before a restart is as old as the name of its folder.
    utimesSync(path, 0, 0);
    return path;
  };
  return { db, writer, run, event, picture, pictures, snapshots };
}

const idsOf = (db: Database) => db.prepare('SELECT id FROM events ORDER BY id').pluck().all();

test('events, detections and samples are deleted when they are too old, each at its own age', async (t) => {
  const { db, writer, run, event } = setup(t, { keep_events: 90, keep_detections: 7, keep_samples: 30 });
  event('old', 91);
  event('young', 89);
  writer.commit(
    batch({
      detections: [8, 6].map((days) => detection({ capturedAt: NOW - days * DAY })),
      samples: [31, 29].map((days) => healthSample({ at: NOW - days * DAY })),
    }),
  );
  const deleted = await run();
  assert.deepEqual(deleted, { events: 1, detections: 1, samples: 1, snapshots: 1 });
  assert.deepEqual(idsOf(db), ['young']);
  assert.equal(db.prepare('SELECT captured_at FROM detections').pluck().get(), NOW - 6 * DAY);
  assert.equal(rowsIn(db, 'samples'), 1);
});

test('an event that is still open is never deleted', async (t) => {
  const { db, run, event } = setup(t);
  event('endless', 400, { open: true });
  await run();
  assert.deepEqual(idsOf(db), ['endless']);
});

test('the snapshot of a deleted event is deleted with it', async (t) => {
  const { run, event } = setup(t, { keep_events: 5, keep_snapshots: 30 });
  const old = event('old', 6);
  const young = event('young', 4);
  await run();
  assert.ok(!existsSync(old));
  assert.ok(existsSync(young));
});

test('a snapshot that is too old is deleted, and its event no longer refers to it', async (t) => {
  const { db, run, event, pictures } = setup(t, { keep_snapshots: 30 });
  const old = event('old', 32);
  const young = event('young', 29);
  const { snapshots } = await run();
  assert.equal(snapshots, 1);
  assert.ok(!existsSync(old) && existsSync(young));
  assert.equal(db.prepare("SELECT snapshot FROM events WHERE id = 'old'").pluck().get(), null);
  assert.notEqual(db.prepare("SELECT snapshot FROM events WHERE id = 'young'").pluck().get(), null);
  await run();
  assert.equal(readdirSync(join(pictures, 'drive')).length, 2, 'a folder that was not created for it stays');
});

test('snapshots over the limit are deleted, oldest first, until there is some room', async (t) => {
  const { run, event, snapshots } = setup(t, { max_snapshots: 10 });
  const files = Array.from({ length: 12 }, (_, i) => event(`e${i}`, 20 - i, { bytes: 1_000_000 }));
  await run();
  assert.deepEqual(
    files.map((file) => existsSync(file)),
    [false, false, false, ...Array<boolean>(9).fill(true)],
  );
  assert.ok(
    snapshots.bytes > 9_000_000 && snapshots.bytes < 9_002_000,
    `${snapshots.bytes} with a mark in each`,
  );
});

test('files that this installation did not write stay, whatever their name, their age and the limits', async (t) => {
  const { run, event, picture, writer } = setup(t, { max_snapshots: 10 });
  const { installation } = writer.files;
  const own = [0, 1, 2].map((n) => event(`own-${n}`, 40 - n));
  const day = dirname(snapshotPath({ id: 'x', camera: 'drive', startedAt: NOW - 400 * DAY }));
  const id = '0192f7c4-9a1b-7c3e-8b52-4f6d2a9c1e07';
  const photos = [
    picture(`${day}/IMG_0001.jpg`, Buffer.alloc(12_000_000, 'photo')),
    picture(`${day}/${id}.jpg`, Buffer.from(jpegOf(1000))),
    picture(`${day}/of-a-later-state.jpg`, markedJpeg(installation, 'of-a-later-state')),
    picture(`${day}/of-another.jpg`, markedJpeg('f'.repeat(32), 'of-another')),
    picture(`${day}/${LATEST}.jpg`, Buffer.from(jpegOf(1000))),
    picture(`${day}/crashed.jpg.tmp`, Buffer.alloc(10)),
    picture('drive/notes/readme.txt', Buffer.alloc(10)),
  ];
  await run();
  assert.ok(own.every((file) => !existsSync(file)));
  assert.ok(photos.every((file) => existsSync(file)));
});

test('while the clock is not trusted nothing is too old', async (t) => {
  const { db, writer, run, event } = setup(t);
  const file = event('old', 4000);
  writer.commit(
    batch({
      detections: [detection({ capturedAt: NOW - 4000 * DAY })],
      samples: [healthSample({ at: NOW - 4000 * DAY })],
    }),
  );
  const nothing = { events: 0, detections: 0, samples: 0, snapshots: 0 };
  assert.deepEqual(await run(undefined, null), nothing);
  assert.ok(existsSync(file));
  assert.equal(rowsIn(db, 'samples'), 1);
});

test('rows recorded with a wrong clock have no age until their time is known to be no later', async (t) => {
  const { db, writer, run } = setup(t);
  const uncertain = { timeUncertain: true, clock: 1 };
  writer.commit(
    batch({
      events: [entry({ id: 'unset', startedAt: 5000, endedAt: 6000, snapshot: null, ...uncertain }, 'end')],
      detections: [detection({ capturedAt: 5000, ...uncertain })],
      samples: [{ ...healthSample({ at: 5000 }), ...uncertain }],
    }),
  );
  assert.deepEqual(await run(), { events: 0, detections: 0, samples: 0, snapshots: 0 });
  for (const table of ['events', 'detections', 'samples']) db.exec(`UPDATE ${table} SET time_uncertain = 2`);
  assert.deepEqual(await run(), { events: 1, detections: 1, samples: 1, snapshots: 0 });
});

test('rows recorded with a wrong clock are deleted with those recorded after them', async (t) => {
  const { db, writer, run, pictures } = setup(t);
  const record = (id: string, daysAgo: number, clock: number, timeUncertain: boolean) => {
    const at = NOW - daysAgo * DAY;
    const snapshot = snapshotPath({ id, camera: 'drive', startedAt: at });
    writer.commit(
      batch({
        events: [entry({ id, startedAt: at, endedAt: at + 1000, snapshot, clock, timeUncertain }, 'end')],
        detections: [detection({ capturedAt: at, clock, timeUncertain })],
        samples: [{ ...healthSample({ at }), clock, timeUncertain }],
      }),
    );
    mkdirSync(dirname(join(pictures, snapshot)), { recursive: true });
    writeFileSync(join(pictures, snapshot), markedJpeg(writer.files.installation, id, 1000));
  };
  record('doubted', 900, 2, true);
  record('old', 800, 3, false);
  record('doubted later', 850, 4, true);
  record('new', 1, 5, false);
  assert.deepEqual(await run(), { events: 2, detections: 2, samples: 2, snapshots: 0 });
  assert.deepEqual(idsOf(db), ['doubted later', 'new']);
  assert.equal(rowsIn(db, 'files'), 2);
});

test('a clock that was behind does not make new rows go first', async (t) => {
  const { run, event } = setup(t, { max_snapshots: 10 });
  const before = Array.from({ length: 6 }, (_, i) => event(`before-${i}`, 20 - i, { bytes: 1_000_000 }));
  const behind = Array.from({ length: 6 }, (_, i) => event(`behind-${i}`, 29, { bytes: 1_000_000 }));
  await run();
  assert.deepEqual(
    before.map((file) => existsSync(file)),
    [false, false, false, true, true, true],
  );
  assert.ok(behind.every((file) => existsSync(file)));
});

test('a database over its limit loses its oldest detections first, and the file becomes smaller', async (t) => {
  const { db, writer, run, event } = setup(t, { max_database: 10 });
  event('kept', 1);
  for (let i = 0; usedBytes(db) < 14_000_000; i++) {
    const capturedAt = NOW - DAY + i * 1000;
    writer.commit(
      batch({
        detections: Array.from({ length: 1000 }, () => detection({ capturedAt, label: 'x'.repeat(100) })),
      }),
    );
  }
  const newest = db.prepare('SELECT max(captured_at) FROM detections').pluck().get();
  const { detections } = await run();
  assert.ok(detections > 0);
  assert.ok(usedBytes(db) <= 10_000_000 && usedBytes(db) > 8_000_000, `${usedBytes(db)}`);
  assert.deepEqual(idsOf(db), ['kept']);
  assert.equal(db.prepare('SELECT max(captured_at) FROM detections').pluck().get(), newest);
  db.pragma('wal_checkpoint(TRUNCATE)');
  const size = (db.pragma('page_count', { simple: true }) as number) * 4096;
  assert.ok(size <= 10_000_000, `${size}`);
  assert.ok(isIntact(db));
});

test('without detections the oldest events make room', async (t) => {
  const { db, writer, run } = setup(t, { max_database: 10 });
  const reason = {
    scores: Array<number>(200).fill(0.123456),
    threshold: 0.5,
    hits: 1,
    window: 1,
    gate: 'motion',
  } as const;
  for (let i = 0; usedBytes(db) < 11_000_000; i += 500) {
    const events = Array.from({ length: 500 }, (_, n) => {
      const startedAt = NOW - DAY + i + n;
      return { ...entry({ id: `e${i + n}`, startedAt, endedAt: startedAt, reason }), messages: [] };
    });
    writer.commit(batch({ events }));
  }
  const newest = db.prepare('SELECT max(started_at) FROM events').pluck().get();
  const { events } = await run();
  assert.ok(events > 0);
  assert.ok(usedBytes(db) <= 9_500_000);
  assert.equal(db.prepare('SELECT max(started_at) FROM events').pluck().get(), newest);
});

test('samples older than a day become one per quarter of an hour', async (t) => {
  const { db, writer, run } = setup(t);
  const start = NOW - 2 * DAY - ((NOW - 2 * DAY) % MERGED_SPAN_MS);
  const old = [10, 20, 30].map((fps, i) =>
    healthSample({
      at: start + 1 + i * 60_000,
      fps,
      rss_mb: 100 + i,
      frames_captured: i,
      inference_ms_p99: i,
    }),
  );
  const next = healthSample({ at: start + MERGED_SPAN_MS + 5000 });
  const recent = [1, 2].map((minutes) => healthSample({ at: NOW - minutes * 60_000 }));
  writer.commit(batch({ samples: [...old, next, ...recent] }));
  await run();
  const rows = db
    .prepare('SELECT at, fps, rss_mb, frames_captured, inference_ms_p99 FROM samples ORDER BY at')
    .all();
  assert.equal(rows.length, 4);
  assert.deepEqual(rows[0], { at: start, fps: 20, rss_mb: 102, frames_captured: 2, inference_ms_p99: 2 });
  const before = db.prepare('SELECT * FROM samples').all();
  await run();
  assert.deepEqual(db.prepare('SELECT * FROM samples').all(), before, 'merged samples stay');
});

test('new rows are written while old ones are being deleted', async (t) => {
  const { db, writer, run } = setup(t, { keep_detections: 1 });
  const old = Array.from({ length: 5000 }, () => detection({ capturedAt: NOW - 2 * DAY }));
  writer.commit(batch({ detections: old }));
  const left: number[] = [];
  const tick = () => {
    writer.commit(batch({ events: [entry({ id: `during-${left.length}`, startedAt: NOW })] }));
    left.push(rowsIn(db, 'detections'));
    if (left.at(-1)! > 0) setImmediate(tick);
  };
  setImmediate(tick);
  await run();
  assert.ok(left.length >= 5, `${left.length} transactions came in between`);
  assert.equal(rowsIn(db, 'events'), left.length);
});

test('maintenance can be cancelled', async (t) => {
  const { db, writer, run } = setup(t, { keep_detections: 1 });
  writer.commit(
    batch({ detections: Array.from({ length: 2000 }, () => detection({ capturedAt: NOW - 2 * DAY })) }),
  );
  const controller = new AbortController();
  const cleaning = run(controller.signal);
  controller.abort();
  await assert.rejects(cleaning, { name: 'AbortError' });
  assert.ok(rowsIn(db, 'detections') > 0);
});
