import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { follow, jsonLine, readableLine } from '../../../src/commands/events-command.ts';
import { openForWriting } from '../../../src/store/database.ts';
import { Reader } from '../../../src/store/log-reader.ts';
import { Writer } from '../../../src/store/writer.ts';
import { eventChange } from '../../fakes/events.ts';
import { batch, entry, folder } from '../../support/store.ts';
import { until } from '../../support/until.ts';

test('an event is one readable line', () => {
  const startedAt = new Date(2026, 0, 31, 18, 5, 9).getTime();
  const { event } = eventChange({ startedAt, endedAt: startedAt + 12_340 }, 'end');
  assert.equal(
    readableLine(event),
    '2026-01-31 18:05:09  drive         vehicle       0.90    12.3 s  gate      2026-05-01/a.jpg\n',
  );
  assert.match(
    readableLine({ ...event, endedAt: null, zone: null, snapshot: null }),
    / {2}0\.90 {6}open {2}- +-\n$/,
  );
});

test('an event as JSON has the names and units of the MQTT message', () => {
  const { event } = eventChange({
    startedAt: Date.UTC(2026, 0, 31),
    box: { x: 0.1, y: 0.2, w: 0.3, h: 0.4 },
  });
  const { reason, ...rest } = event;
  assert.deepEqual(JSON.parse(jsonLine(event)), {
    id: rest.id,
    camera: 'drive',
    zone: 'gate',
    label: 'vehicle',
    score: rest.score,
    top_score: 0.9,
    box: [0.1, 0.2, 0.3, 0.4],
    started_at: '2026-01-31T00:00:00.000Z',
    ended_at: null,
    model: 'mobilenet_v2',
    snapshot: '2026-05-01/a.jpg',
    reason,
    time_uncertain: false,
  });
});

test('--follow prints each event when it starts and when it ends, also after the database is replaced', async (t) => {
  const file = join(folder(), 'lookout.db');
  let db = openForWriting(file);
  t.after(() => db.close());
  let writer = new Writer(db, { maxOutbox: 1000 });
  writer.commit(batch({ events: [entry({ id: 'past' }, 'end'), entry({ id: 'open' })] }));

  const out = new PassThrough({ encoding: 'utf8' });
  let printed = '';
  out.on('data', (text: string) => {
    printed += text;
  });
  const ended = new AbortController();
  const following = follow({
    reader: new Reader(file),
    reopen: async () => new Reader(file),
    filter: { labels: ['vehicle'] },
    limit: 10,
    format: ({ id, endedAt }) => `${id}${endedAt === null ? '' : '!'} `,
    out,
    signal: ended.signal,
  });
  await until('the existing events to be printed', () => printed === 'past! open ');

  writer.commit(batch({ events: [entry({ id: 'open' }, 'update'), entry({ id: 'cat', label: 'cat' })] }));
  writer.commit(batch({ events: [entry({ id: 'open' }, 'end'), entry({ id: 'new' })] }));
  await until('the changed events to be printed', () => printed === 'past! open open! new ');

  db.close();
  renameSync(file, `${file}.corrupt`);
  db = openForWriting(file);
  writer = new Writer(db, { maxOutbox: 1000 });
  writer.commit(batch({ events: [entry({ id: 'fresh' }, 'end')] }));
  await until('the new database to be read', () => printed.endsWith('new fresh! '));
  ended.abort();
  await following;
});
