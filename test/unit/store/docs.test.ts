import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Writer } from '../../../src/store/writer.ts';
import { batch, entry, freshDatabase, storeConfig } from '../../support/store.ts';

const page = readFileSync(new URL('../../../docs/events.md', import.meta.url), 'utf8');

test('the queries in docs/events.md run', (t) => {
  const db = freshDatabase(t);
  new Writer(db, { maxOutbox: 100 }).commit(
    batch({ events: [entry({ label: 'car', camera: 'driveway', topScore: 0.61 }, 'end')] }),
  );
  const queries = [...page.matchAll(/```sql\n([\s\S]*?)```/g)].flatMap(([, sql = '']) => sql.split(/;\n/));
  const results = queries.filter((sql) => sql.trim() !== '').map((sql) => db.prepare(sql).all().length);
  assert.deepEqual(results, [1, 1, 1, 1, 0]);
});

test('the limits in docs/events.md are those of the configuration', () => {
  const config: Record<string, unknown> = storeConfig();
  const named = [...page.matchAll(/`store\.((?:keep|max)_\w+)`, ([\d ]+)/g)];
  assert.equal(named.length, 10);
  for (const [, key = '', value = ''] of named)
    assert.equal(Number(value.replaceAll(' ', '')), config[key], key);
});
