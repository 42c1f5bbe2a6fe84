import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openForWriting } from '../../../src/store/database.ts';
import type { OutboxRow } from '../../../src/store/store-types.ts';
import { Writer } from '../../../src/store/writer.ts';
import type { DetectionEvent, EventChange } from '../../../src/types.ts';
import { eventChange } from '../../fakes/events.ts';
import { healthSample } from '../../fakes/health.ts';
import { Seeded } from '../../support/random.ts';
import {
  batch,
  detection,
  entry,
  folder,
  freshDatabase,
  isIntact,
  message,
  rowsIn,
} from '../../support/store.ts';

const MANY = { maxOutbox: 100_000 };

test('an event is one row from its start to its end, and every step adds its messages', (t) => {
  const db = freshDatabase(t);
  const writer = new Writer(db, MANY);
  writer.commit(batch({ events: [entry({ score: 0.6, snapshot: null })] }));
  const { event } = eventChange({ score: 0.6, snapshot: null });
  assert.deepEqual(writer.leftOpen(), [{ event, lastSeenAt: event.startedAt }]);

  const { camera, zone, label, startedAt } = event;
  const seen = (after: number, other = {}) =>
    detection({ camera, zone, label, capturedAt: startedAt + after, ...other });
  const others = [seen(9000, { zone: null }), seen(9000, { label: 'cat' }), seen(9000, { camera: 'door' })];
  writer.commit(batch({ detections: [seen(-1000), seen(2000), seen(3000), ...others] }));
  assert.deepEqual(writer.leftOpen(), [{ event, lastSeenAt: startedAt + 3000 }]);

  writer.commit(batch({ events: [entry({ score: 0.7 }, 'update'), entry({ topScore: 0.95 }, 'end')] }));
  assert.deepEqual(writer.leftOpen(), []);
  assert.equal(rowsIn(db, 'events'), 1);
  assert.deepEqual(
    writer.outbox(0, 10).map(({ payload }) => payload.split(' ')[0]),
    ['start', 'update', 'end'],
  );
  assert.equal(writer.outboxDepth, 3);
});

test('a late step does not reopen an ended event, but may remove its snapshot', (t) => {
  const db = freshDatabase(t);
  const writer = new Writer(db, MANY);
  writer.commit(batch({ events: [entry(), entry({}, 'end'), entry({ snapshot: null }, 'update')] }));
  const row = db.prepare('SELECT ended_at, snapshot FROM events').get();
  assert.deepEqual(row, { ended_at: eventChange({}, 'end').event.endedAt, snapshot: null });
});

test('the end of an event whose start was lost is still written', (t) => {
  const writer = new Writer(freshDatabase(t), MANY);
  assert.deepEqual(writer.commit(batch({ events: [entry({}, 'end')] })), []);
});

test('detections and samples keep every field', (t) => {
  const db = freshDatabase(t);
  const writer = new Writer(db, MANY);
  const box = { x: 0.125, y: 0.25, w: 0.5, h: 0.375 };
  writer.commit(
    batch({
      detections: [detection({ zone: 'gate', score: 0.3, box, capturedAt: 1_700_000_000_000.4, clock: 3 })],
      samples: [
        {
          ...healthSample({ throttled: true, throttle_reasons: ['heat'], temperature_c: null }),
          ...{ timeUncertain: true, clock: 4 },
        },
      ],
    }),
  );
  assert.deepEqual(db.prepare('SELECT * FROM detections').get(), {
    id: 1,
    captured_at: 1_700_000_000_000,
    camera: 'drive',
    zone: 'gate',
    label: 'vehicle',
    score: 0.3,
    box_x: 0.125,
    box_y: 0.25,
    box_w: 0.5,
    box_h: 0.375,
    time_uncertain: 0,
    model: 'demo',
    clock: 3,
  });
  const { cameras, throttle_reasons, throttled, problems, outbox_mb, ...numbers } = healthSample();
  assert.deepEqual(db.prepare('SELECT * FROM samples').get(), {
    ...numbers,
    throttled: 1,
    temperature_c: null,
    throttle_reasons: '["heat"]',
    cameras: JSON.stringify(cameras),
    time_uncertain: 1,
    clock: 4,
  });
});

test('entries that can never be written are skipped with their messages; the rest is written', (t) => {
  const db = freshDatabase(t);
  const writer = new Writer(db, MANY);
  const good = entry({ id: 'good' });
  const rejected = writer.commit(
    batch({
      events: [
        entry({ id: 'bad', score: Number.NaN }),
        good,
        { ...entry({ id: 'odd' }), messages: [message(null!)] },
      ],
      detections: [detection({ label: undefined! }), detection()],
    }),
  );
  assert.deepEqual(
    rejected.map(({ event }) => event),
    [0, 2, null],
  );
  assert.match(rejected[0]!.reason, /event bad: NOT NULL constraint failed: events\.score/);
  assert.deepEqual(db.prepare('SELECT id FROM events').pluck().all(), ['good']);
  assert.equal(rowsIn(db, 'outbox'), 1);
  assert.equal(writer.outboxDepth, 1);
  assert.equal(rowsIn(db, 'detections'), 1);
});

test('a full disk leaves nothing of the batch behind, and the writer continues when there is space', (t) => {
  const db = freshDatabase(t);
  const writer = new Writer(db, MANY);
  writer.commit(batch({ events: [entry({ id: 'before' })] }));
  const pages = db.pragma('page_count', { simple: true }) as number;
  db.pragma(`max_page_count = ${pages + 2}`);
  const large = batch({
    events: [{ ...entry({ id: 'large' }), messages: [message('x'.repeat(50_000))] }],
    detections: Array.from({ length: 100 }, () => detection()),
  });
  assert.throws(() => writer.commit(large), { code: 'SQLITE_FULL' });
  assert.equal(rowsIn(db, 'events'), 1);
  assert.equal(writer.outboxDepth, 1);

  db.pragma('max_page_count = 100000');
  assert.deepEqual(writer.commit(large), []);
  assert.deepEqual(db.prepare('SELECT id FROM events ORDER BY seq').pluck().all(), ['before', 'large']);
  assert.equal(writer.outboxDepth, 2);
  assert.ok(isIntact(db));
});

test('the oldest messages are dropped when too many wait, and the count survives a restart', () => {
  const file = join(folder(), 'lookout.db');
  let db = openForWriting(file);
  let writer = new Writer(db, { maxOutbox: 3 });
  for (let i = 1; i <= 5; i++) writer.commit(batch({ events: [entry({ id: `event-${i}` })] }));
  assert.deepEqual(
    writer.outbox(0, 10).map(({ id }) => id),
    [3, 4, 5],
  );
  assert.equal(writer.outboxDropped, 2);
  db.close();

  db = openForWriting(file);
  writer = new Writer(db, { maxOutbox: 3 });
  assert.equal(writer.outboxDropped, 2);
  assert.equal(writer.outboxDepth, 3);
  writer.commit(batch({ events: [entry({ id: 'event-6' })] }));
  assert.equal(writer.outboxDropped, 3);
  assert.equal(rowsIn(db, 'events'), 6);
  db.close();
});

test('live messages are dropped first, then the oldest, by number and by bytes', (t) => {
  const writer = new Writer(freshDatabase(t), { maxOutbox: 100, maxOutboxBytes: 1000 });
  const say = (id: string, live: boolean) =>
    writer.commit(batch({ events: [{ ...entry({ id }), messages: [{ ...message(id.padEnd(77)), live }] }] }));
  const waiting = () => writer.outbox(0, 100).map(({ payload }) => payload.trim());
  for (const [n, live] of [false, true, false, true, false, true, false, false, false].entries()) {
    say(`${n}${live ? ' live' : ''}`, live);
  }
  assert.deepEqual(waiting(), ['0', '1 live', '2', '3 live', '4', '5 live', '6', '7', '8']);
  assert.equal(writer.outboxBytes, 9 * (77 + message('').topic.length));
  say('9', false);
  assert.deepEqual(waiting(), ['0', '2', '3 live', '4', '5 live', '6', '7', '8', '9']);
  for (const id of ['10', '11', '12']) say(id, false);
  assert.deepEqual(waiting(), ['2', '4', '6', '7', '8', '9', '10', '11', '12']);
  assert.equal(writer.outboxDropped, 4);
  writer.commit(batch({ publishedUpTo: 100 }));
  assert.equal(writer.outboxBytes, 0);
});

test('messages that wait too long are dropped, but not those from before the clock was set', (t) => {
  const writer = new Writer(freshDatabase(t), MANY);
  const at = (id: string, recordedAt: number) =>
    writer.commit(batch({ events: [{ ...entry({ id }), messages: [message(id)], recordedAt }] }));
  const day = 86_400_000;
  const now = Date.UTC(2026, 5, 1);
  at('old', now - 10 * day);
  at('older', now - 11 * day);
  at('new', now - day);
  at('late', now - 20 * day);
  writer.dropOlderThan(now - 7 * day);
  assert.deepEqual(
    writer.outbox(0, 10).map(({ payload }) => payload),
    ['new', 'late'],
    'only the head of the outbox is looked at',
  );
  assert.equal(writer.outboxDropped, 2);

  const unset = new Writer(freshDatabase(t), MANY);
  unset.commit(batch({ events: [{ ...entry(), recordedAt: 5000 }] }));
  unset.dropOlderThan(now);
  assert.equal(unset.outboxDepth, 1);
});

test('an outbox id is never reused, neither after a restart nor in a new file', () => {
  const path = folder();
  let db = openForWriting(join(path, 'a.db'));
  let writer = new Writer(db, MANY);
  writer.commit(batch({ events: [entry(), entry({}, 'end')] }));
  writer.commit(batch({ publishedUpTo: 2 }));
  assert.equal(writer.outboxDepth, 0);
  db.close();

  db = openForWriting(join(path, 'a.db'));
  writer = new Writer(db, MANY);
  writer.commit(batch({ events: [entry({ id: 'next' })] }));
  assert.deepEqual(
    writer.outbox(0, 10).map(({ id }) => id),
    [3],
  );
  db.close();

  db = openForWriting(join(path, 'b.db'));
  writer = new Writer(db, { ...MANY, outboxFloor: writer.lastOutboxId });
  writer.commit(batch({ events: [entry()] }));
  assert.equal(writer.lastOutboxId, 4);
  db.close();
});

test('after any sequence of operations the database equals a simple model of it', () => {
  for (let seed = 1; seed <= 6; seed++) {
    const random = new Seeded(seed);
    const file = join(folder(), 'lookout.db');
    const maxOutbox = random.int(5, 40);
    let db = openForWriting(file);
    let writer = new Writer(db, { maxOutbox });
    const events = new Map<string, DetectionEvent>();
    let outbox: Pick<OutboxRow, 'id' | 'payload'>[] = [];
    let lastId = 0;
    let dropped = 0;

    for (let step = 0; step < 50; step++) {
      if (random.chance(0.1)) {
        db.close();
        db = openForWriting(file);
        writer = new Writer(db, { maxOutbox });
      }
      const changes: EventChange[] = [];
      for (let n = random.int(0, 4); n > 0; n--) {
        const open = [...events.values()].filter((event) => event.endedAt === null);
        const old = open.length > 0 && random.chance(0.7) ? random.pick(open) : null;
        const type = old ? random.pick(['update', 'end'] as const) : 'start';
        const { event } = eventChange({
          ...(old ?? { id: `event-${seed}-${step}-${n}`, startedAt: step * 1000 }),
          score: random.next(),
          endedAt: type === 'end' ? step * 1000 + 500 : null,
          snapshot: old?.snapshot ?? (random.chance(0.5) ? `a/${step}.jpg` : null),
        });
        events.set(event.id, event);
        changes.push({ type, event });
      }
      const publishedUpTo = random.chance(0.4) ? random.int(0, lastId) : 0;
      const entries = changes.map((change, n) => ({
        ...entry(),
        change,
        messages: [message(`${step}/${n}`)],
      }));
      assert.deepEqual(writer.commit(batch({ events: entries, publishedUpTo })), []);

      for (const [n] of changes.entries()) outbox.push({ id: ++lastId, payload: `${step}/${n}` });
      outbox = outbox.filter(({ id }) => id > publishedUpTo);
      const excess = Math.max(0, outbox.length - maxOutbox);
      outbox = outbox.slice(excess);
      dropped += excess;

      assert.deepEqual(
        writer.outbox(0, 1000).map(({ id, payload }) => ({ id, payload })),
        outbox,
      );
      assert.equal(writer.outboxDepth, outbox.length);
      assert.equal(writer.outboxDropped, dropped);
      assert.deepEqual(
        writer.leftOpen().map(({ event }) => event),
        [...events.values()].filter((event) => event.endedAt === null),
      );
    }
    assert.equal(rowsIn(db, 'events'), events.size);
    assert.ok(isIntact(db));
    db.close();
  }
});
