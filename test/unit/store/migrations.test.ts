import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { openForWriting } from '../../../src/store/database.ts';
import { DETECTION_COLUMNS, EVENT_COLUMNS, SAMPLE_COLUMNS } from '../../../src/store/event-rows.ts';
import { MIGRATIONS, migrate, SCHEMA_VERSION, schemaVersion } from '../../../src/store/migrations.ts';
import { folder, isIntact } from '../../support/store.ts';

const shape = (db: Database.Database) =>
  db.prepare("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name").all();

test('a database of every earlier version becomes the same as a new one', (t) => {
  const fresh = new Database(':memory:');
  t.after(() => fresh.close());
  migrate(fresh, 'fresh');
  for (let version = 0; version < SCHEMA_VERSION; version++) {
    const old = new Database(':memory:');
    migrate(old, 'old', MIGRATIONS.slice(0, version));
    assert.equal(schemaVersion(old), version);
    migrate(old, 'old');
    assert.equal(schemaVersion(old), SCHEMA_VERSION);
    assert.deepEqual(shape(old), shape(fresh));
    assert.ok(isIntact(old));
    old.close();
  }
});

test('the written columns are those of the schema', (t) => {
  const db = new Database(':memory:');
  t.after(() => db.close());
  migrate(db, 'memory');
  const columns = (table: string) =>
    (db.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name);
  assert.deepEqual(columns('events').sort(), ['seq', ...EVENT_COLUMNS, 'changed'].sort());
  assert.deepEqual(columns('detections'), ['id', ...DETECTION_COLUMNS]);
  assert.deepEqual(columns('samples'), [...SAMPLE_COLUMNS]);
});

test('each step is applied once, in order', (t) => {
  const db = new Database(':memory:');
  t.after(() => db.close());
  const steps = ['CREATE TABLE a (x)', 'ALTER TABLE a ADD COLUMN y', 'INSERT INTO a VALUES (1, 2)'];
  migrate(db, 'memory', steps.slice(0, 1));
  migrate(db, 'memory', steps);
  migrate(db, 'memory', steps);
  assert.deepEqual(db.prepare('SELECT * FROM a').all(), [{ x: 1, y: 2 }]);
});

test('a step that fails leaves the database unchanged', (t) => {
  const db = new Database(':memory:');
  t.after(() => db.close());
  const steps = ['CREATE TABLE a (x)', 'INSERT INTO a VALUES (1); INSERT INTO nowhere VALUES (1)'];
  assert.throws(() => migrate(db, 'memory', steps), /nowhere/);
  assert.equal(schemaVersion(db), 1);
  assert.deepEqual(db.prepare('SELECT * FROM a').all(), []);
  assert.equal(db.inTransaction, false);
});

test('a database of a newer version is refused and stays unchanged', () => {
  const file = join(folder(), 'lookout.db');
  const db = openForWriting(file);
  db.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
  db.close();
  assert.throws(() => openForWriting(file), {
    code: 'STORE_TOO_NEW',
    message: new RegExp(`schema ${SCHEMA_VERSION + 1}; this version supports ${SCHEMA_VERSION}`),
  });
  const after = new Database(file);
  assert.equal(schemaVersion(after), SCHEMA_VERSION + 1);
  after.close();
});
