import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { openForWriting } from '../../../src/store/database.ts';
import { Reader } from '../../../src/store/log-reader.ts';
import { Writer } from '../../../src/store/writer.ts';
import { healthSample } from '../../fakes/health.ts';
import { batch, detection, entry, folder } from '../../support/store.ts';

const T0 = Date.UTC(2026, 0, 1);

function setup(t: TestContext) {
  const file = join(folder(), 'lookout.db');
  const db = openForWriting(file);
  const writer = new Writer(db, { maxOutbox: 1000 });
  const reader = new Reader(file);
  t.after(() => {
    reader.close();
    db.close();
  });
  return { file, db, writer, reader };
}

test('events are found by time, label and camera, the newest of them, oldest first', (t) => {
  const { writer, reader } = setup(t);
  const events = Array.from({ length: 12 }, (_, i) =>
    entry({
      id: `e${i}`,
      startedAt: T0 + i * 1000,
      label: ['car', 'dog', "o'hare"][i % 3]!,
      camera: i < 6 ? 'drive' : 'door',
    }),
  );
  writer.commit(batch({ events: events.toReversed() }));
  const found = (filter: Parameters<Reader['events']>[0], limit?: number) =>
    [...reader.events(filter, { limit })].map(({ id }) => id);
  assert.deepEqual(
    [...reader.events({})],
    events.map(({ change }) => change.event),
  );
  assert.deepEqual(found({}, 3), ['e9', 'e10', 'e11']);
  assert.deepEqual(found({ since: T0 + 10_000 }), ['e10', 'e11']);
  assert.deepEqual(found({ labels: ['car'] }), ['e0', 'e3', 'e6', 'e9']);
  assert.deepEqual(found({ labels: ["o'hare", 'dog'], cameras: ['drive'] }), ['e1', 'e2', 'e4', 'e5']);
  assert.deepEqual(found({ cameras: ['nowhere'] }), []);
});

test('changes are read after a mark, each event once with its latest state', (t) => {
  const { writer, reader } = setup(t);
  writer.commit(batch({ events: [entry({ id: 'a' })] }));
  const beginning = reader.mark;
  assert.deepEqual(reader.changes(beginning, {}), { events: [], mark: beginning });

  writer.commit(
    batch({ events: [entry({ id: 'b' }), entry({ id: 'a' }, 'update'), entry({ id: 'b' }, 'end')] }),
  );
  const { events, mark } = reader.changes(beginning, {});
  assert.deepEqual(
    events.map(({ id, endedAt }) => [id, endedAt !== null]),
    [
      ['a', false],
      ['b', true],
    ],
  );
  assert.deepEqual(reader.changes(mark, {}).events, []);
});

test('all rows are read in the order of their time, page by page, also if many share a time', (t) => {
  const { writer, reader } = setup(t);
  const times = Array.from({ length: 3500 }, (_, i) => T0 + Math.floor(((i * 7919) % 3500) / 700));
  writer.commit(
    batch({ detections: times.map((capturedAt, i) => detection({ capturedAt, label: `l${i}` })) }),
  );
  const rows = [...reader.rows('detections', T0, T0 + 100)];
  assert.equal(new Set(rows.map(({ label }) => label)).size, 3500);
  assert.deepEqual(
    rows.map(({ captured_at }) => captured_at),
    times.toSorted((a, b) => a - b),
  );
  assert.equal([...reader.rows('detections', T0 + 1, T0 + 3)].length, 1400);
});

test('samples and events are exported, too', (t) => {
  const { writer, reader } = setup(t);
  writer.commit(
    batch({ events: [entry({ startedAt: T0 })], samples: [1, 0].map((i) => healthSample({ at: T0 + i })) }),
  );
  assert.deepEqual(
    [...reader.rows('samples', T0, T0 + 10)].map(({ at }) => at),
    [T0, T0 + 1],
  );
  assert.equal([...reader.rows('events', T0, T0 + 10)].length, 1);
});

test('a running export sees rows that are written meanwhile, and locks nothing', (t) => {
  const { db, writer, reader } = setup(t);
  writer.commit(batch({ detections: Array.from({ length: 1500 }, () => detection({ capturedAt: T0 })) }));
  const rows = reader.rows('detections', T0, T0 + 10);
  rows.next();
  writer.commit(batch({ detections: [detection({ capturedAt: T0 + 5 })] }));
  const [{ busy }] = db.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }];
  assert.equal(busy, 0);
  assert.equal([...rows].length, 1500);
});

test('the reader cannot write', (t) => {
  const { file, reader } = setup(t);
  const before = readFileSync(file);
  assert.deepEqual([...reader.events({})], []);
  assert.deepEqual(readFileSync(file), before);
});

test('a replaced database is detected', (t) => {
  const { file, reader } = setup(t);
  assert.equal(reader.replaced, false);
  renameSync(file, `${file}.corrupt`);
  assert.equal(reader.replaced, true);
  openForWriting(file).close();
  assert.equal(reader.replaced, true);
});

test('an unreadable database is reported with a code', () => {
  const path = folder();
  const file = join(path, 'lookout.db');
  const refused = (code: string, message: RegExp) => assert.throws(() => new Reader(file), { code, message });
  refused('STORE_MISSING', /lookout\.db: file not found/);
  writeFileSync(file, 'rubbish '.repeat(1000));
  refused('STORE_CORRUPT', /damaged/);
  writeFileSync(file, '');
  refused('STORE_TOO_OLD', /schema 0/);
  const db = new Database(file);
  db.pragma('user_version = 1000');
  db.close();
  refused('STORE_TOO_NEW', /schema 1000/);
});
