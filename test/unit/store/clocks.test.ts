import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { KnownTime } from '../../../src/runtime/time-judge.ts';
import {
  correctTimes,
  keepKnownTime,
  noteClocks,
  shiftPayload,
  timeHistory,
} from '../../../src/store/clocks.ts';
import { Writer } from '../../../src/store/writer.ts';
import { healthSample } from '../../fakes/health.ts';
import { batch, detection, entry, freshDatabase } from '../../support/store.ts';

const NOW = Date.UTC(2026, 5, 15, 12);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const UPTIME = 10 * HOUR;

function setup(t: TestContext) {
  const db = freshDatabase(t);
  const writer = new Writer(db, { maxOutbox: 1000 });
  const right = { id: 9, boot: 'this', ahead: NOW - UPTIME, began: 9 * HOUR };
  const time: KnownTime = { now: NOW, uptime: UPTIME, setting: right, tolerance: DAY };
  noteClocks(db, [right]);
  /** One row in every table at a time, under a setting of the clock. */
  const record = (id: string, at: number, clock: number | null, timeUncertain = true) =>
    writer.commit(
      batch({
        events: [
          {
            ...entry(
              { id, startedAt: at, endedAt: at + 5000, snapshot: `${id}.jpg`, clock, timeUncertain },
              'end',
            ),
            ...{ recordedAt: at + 5000, clock, timeUncertain },
          },
        ],
        detections: [detection({ capturedAt: at, label: id, clock, timeUncertain })],
        samples: [{ ...healthSample({ at }), clock, timeUncertain }],
      }),
    );
  const event = (id: string) =>
    db.prepare('SELECT started_at, ended_at, time_uncertain, clock FROM events WHERE id = ?').raw().get(id);
  const others = (id: string) => [
    db.prepare('SELECT captured_at, time_uncertain FROM detections WHERE label = ?').raw().get(id),
    db.prepare('SELECT at, time_uncertain FROM files WHERE event = ?').raw().get(id),
  ];
  const correct = () =>
    correctTimes(
      db,
      time,
      () => writer.nextChange(),
      async () => {},
    );
  return { db, writer, time, record, event, others, correct };
}

test('rows of this boot under another setting are corrected exactly, and no longer marked', async (t) => {
  const { db, record, event, others, correct } = setup(t);
  noteClocks(db, [
    { id: 7, boot: 'this', ahead: 0, began: 0 },
    { id: 8, boot: 'this', ahead: Date.UTC(2099, 0, 1) - UPTIME, began: 5 * HOUR },
  ]);
  record('unset', 2 * HOUR, 7);
  record('ahead', Date.UTC(2099, 0, 1) - 3 * HOUR, 8);
  record('right', NOW - HOUR, 9);
  record('believed', NOW - 2 * HOUR, 9, false);
  const changed = db.prepare('SELECT max(changed) FROM events').pluck().get() as number;
  assert.equal(await correct(), 15);
  const unset = NOW - UPTIME + 2 * HOUR;
  assert.deepEqual(event('unset'), [unset, unset + 5000, 0, 9]);
  assert.deepEqual(others('unset'), [
    [unset, 0],
    [unset, 0],
  ]);
  assert.deepEqual(event('ahead'), [NOW - 3 * HOUR, NOW - 3 * HOUR + 5000, 0, 9]);
  assert.deepEqual(event('right'), [NOW - HOUR, NOW - HOUR + 5000, 0, 9]);
  assert.deepEqual(event('believed'), [NOW - 2 * HOUR, NOW - 2 * HOUR + 5000, 0, 9]);
  assert.deepEqual(
    db.prepare('SELECT created_at FROM outbox ORDER BY id LIMIT 1').pluck().get(),
    unset + 5000,
  );
  assert.deepEqual(db.prepare('SELECT count(*) FROM events WHERE changed > ?').pluck().get(changed), 3);
  const order = db.prepare('SELECT id FROM events ORDER BY started_at').pluck().all();
  assert.deepEqual(order, ['unset', 'ahead', 'believed', 'right'], 'in chronological order');
  assert.equal(await correct(), 0, 'once');
});

test('trusted times are corrected, too, if they were wrong by more than the tolerance', async (t) => {
  const { db, record, event, correct } = setup(t);
  noteClocks(db, [
    { id: 7, boot: 'this', ahead: NOW - UPTIME - 35 * DAY, began: 0 },
    { id: 8, boot: 'this', ahead: NOW - UPTIME + 2 * HOUR, began: 5 * HOUR },
  ]);
  record('behind', NOW - 35 * DAY - 4 * HOUR, 7, false);
  record('explained', NOW - HOUR, 8, false);
  await correct();
  assert.deepEqual(event('behind'), [NOW - 4 * HOUR, NOW - 4 * HOUR + 5000, 0, 9]);
  assert.deepEqual(event('explained'), [NOW - HOUR, NOW - HOUR + 5000, 0, 8]);
});

test('rows of earlier boots in the future or in 1970 are moved before this boot, in their order', async (t) => {
  const { db, record, event, correct } = setup(t);
  noteClocks(db, [
    { id: 3, boot: 'first', ahead: 0, began: 0 },
    { id: 4, boot: 'second', ahead: Date.UTC(2099, 0, 1), began: 0 },
  ]);
  record('unset', HOUR, 3);
  record('unset-later', 2 * HOUR, 3);
  record('ahead', Date.UTC(2099, 0, 1), 4, false);
  record('true', NOW - 90 * DAY, 2, false);
  await correct();
  const boot = NOW - UPTIME;
  assert.deepEqual(event('ahead'), [boot - 5000, boot, 2, null]);
  assert.deepEqual(event('unset-later'), [boot - 10_000, boot - 5000, 2, null]);
  assert.deepEqual(event('unset'), [boot - 10_000 - HOUR, boot - 5000 - HOUR, 2, null]);
  assert.deepEqual(event('true'), [NOW - 90 * DAY, NOW - 90 * DAY + 5000, 0, 2]);
  const newest = db.prepare('SELECT max(started_at) FROM events').pluck().get() as number;
  assert.ok(newest < NOW, 'nothing sorts after what is recorded now');
  assert.equal(await correct(), 0);
});

test('unconfirmed but possible times of an earlier boot stay unchanged, without an age', async (t) => {
  const { db, record, event, correct } = setup(t);
  noteClocks(db, [{ id: 4, boot: 'second', ahead: 0, began: 0 }]);
  record('likely', NOW - 3 * DAY, 4);
  await correct();
  assert.deepEqual(event('likely'), [NOW - 3 * DAY, NOW - 3 * DAY + 5000, 1, 4]);
  assert.equal(await correct(), 0);
});

test('rows in the future from before clock settings were recorded are moved, others without one stay', async (t) => {
  const { record, event, correct } = setup(t);
  record('future', NOW + 400 * DAY, null, false);
  record('old', NOW - 400 * DAY, null, true);
  await correct();
  assert.deepEqual(event('future'), [NOW - UPTIME - 5000, NOW - UPTIME, 2, null]);
  assert.deepEqual(event('old'), [NOW - 400 * DAY, NOW - 400 * DAY + 5000, 1, null]);
});

test('samples that are moved to the same moment are all kept', async (t) => {
  const { db, writer, correct } = setup(t);
  noteClocks(db, [{ id: 7, boot: 'this', ahead: NOW - UPTIME + 40 * DAY, began: 0 }]);
  writer.commit(batch({ samples: [{ ...healthSample({ at: NOW - HOUR }), clock: 9 }] }));
  const ahead = { ...healthSample({ at: NOW - HOUR + 40 * DAY }), clock: 7, timeUncertain: true };
  writer.commit(batch({ samples: [ahead] }));
  await correct();
  assert.deepEqual(db.prepare('SELECT at FROM samples ORDER BY at').pluck().all(), [
    NOW - HOUR,
    NOW - HOUR + 1,
  ]);
});

test('an end that comes after the correction keeps the corrected start', async (t) => {
  const { db, writer, event, correct } = setup(t);
  noteClocks(db, [{ id: 7, boot: 'this', ahead: 0, began: 0 }]);
  const uncertain = { clock: 7, timeUncertain: true };
  const start = { id: 'open', startedAt: HOUR, snapshot: null, ...uncertain };
  writer.commit(batch({ events: [{ ...entry(start), ...uncertain }] }));
  await correct();
  writer.commit(batch({ events: [entry({ ...start, endedAt: HOUR + 7000 }, 'end')] }));
  const started = NOW - UPTIME + HOUR;
  assert.deepEqual(event('open'), [started, started + 7000, 0, 9]);
});

test('a waiting message has the corrected times', () => {
  const message = { id: 'a', started_at: new Date(5000).toISOString(), ended_at: null, time_uncertain: true };
  assert.deepEqual(JSON.parse(shiftPayload(JSON.stringify(message), 1000.4, false)), {
    ...message,
    started_at: new Date(6000).toISOString(),
    time_uncertain: false,
  });
  for (const other of ['ON', 'null', '[]', '{"a":1}', 'no JSON']) {
    assert.equal(shiftPayload(other, 1000, false), other);
  }
});

test('the next run gets the last trusted time, or that of the newest row', (t) => {
  const { db, record } = setup(t);
  assert.equal(timeHistory(db).knownAt, null);
  record('uncertain', Date.UTC(2099, 0, 1), 8, true);
  assert.equal(timeHistory(db).knownAt, null);
  record('certain', NOW - DAY, 9, false);
  assert.equal(timeHistory(db).knownAt, NOW - DAY + 5000, 'its message was recorded at its end');
  keepKnownTime(db, NOW + 0.4);
  assert.equal(timeHistory(db).knownAt, NOW);
  assert.deepEqual(timeHistory(db).last, { id: 9, boot: 'this', ahead: NOW - UPTIME, began: 9 * HOUR });
});

test('messages with an uncertain time are never too old', (t) => {
  const { writer, record } = setup(t);
  record('first', NOW - 40 * DAY, 8, true);
  writer.dropOlderThan(NOW - 14 * DAY);
  assert.equal(writer.outboxDepth, 1);
  record('young', NOW - 10 * DAY, 9, false);
  writer.dropOlderThan(NOW - 14 * DAY);
  assert.equal(writer.outboxDepth, 2);
  writer.dropOlderThan(NOW - 9 * DAY);
  assert.equal(writer.outboxDepth, 0, 'it is older than one that is too old');
});
