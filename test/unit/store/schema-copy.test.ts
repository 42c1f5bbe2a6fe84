import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { openForWriting } from '../../../src/store/database.ts';
import { Copies } from '../../../src/store/database-copies.ts';
import { Reader } from '../../../src/store/log-reader.ts';
import { MIGRATIONS, migrate, SCHEMA_VERSION, schemaVersion } from '../../../src/store/migrations.ts';
import { copyBeforeMigration, schemaCopy } from '../../../src/store/schema-copy.ts';
import { Writer } from '../../../src/store/writer.ts';
import { batch, entry, folder, isIntact } from '../../support/store.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');
const versions = Array.from({ length: SCHEMA_VERSION }, (_, index) => index + 1);
const earlier = versions.slice(0, -1);

/** A database of an earlier version. */
function leftBy(schema: number, path = folder()): string {
  const file = join(path, 'lookout.db');
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.exec(readFileSync(join(FIXTURES, `schema-${schema}.sql`), 'utf8'));
  db.close();
  return file;
}

const tables = ['events', 'detections', 'outbox', 'samples', 'counters'];

/** All rows of all tables, with the columns of this database. */
function rowsOf(db: Database.Database): Record<string, Record<string, unknown>[]> {
  return Object.fromEntries(
    tables.map((table) => [table, db.prepare(`SELECT * FROM ${table}`).all() as Record<string, unknown>[]]),
  );
}

const shape = (db: Database.Database) =>
  db.prepare("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name").all();

test('there is a fixture of every schema', () => {
  assert.deepEqual(
    readdirSync(FIXTURES)
      .filter((name) => name.startsWith('schema-'))
      .sort(),
    versions.map((version) => `schema-${version}.sql`),
    'add one for a new schema: `sqlite3 lookout.db .dump` and `PRAGMA user_version`',
  );
});

for (const version of versions) {
  test(`schema ${version} is still created as it was released`, () => {
    const released = new Database(leftBy(version), { readonly: true });
    const now = new Database(':memory:');
    migrate(now, 'now', MIGRATIONS.slice(0, version));
    assert.deepEqual(shape(now), shape(released));
    now.close();
    released.close();
  });
}

for (const version of earlier) {
  test(`a database of schema ${version} is migrated with all its content, and a copy is kept`, () => {
    const file = leftBy(version);
    const old = new Database(file, { readonly: true });
    const before = rowsOf(old);
    old.close();
    const logged: string[] = [];
    const db = openForWriting(file, (what) => logged.push(what));
    assert.equal(schemaVersion(db), SCHEMA_VERSION);
    assert.ok(isIntact(db));
    for (const [table, rows] of Object.entries(rowsOf(db))) {
      assert.equal(rows.length, before[table]!.length, table);
      for (const [index, row] of before[table]!.entries()) {
        assert.deepEqual({ ...rows[index], ...row }, rows[index], `${table} ${index}`);
      }
    }
    assert.equal(logged.length, 1);
    assert.ok(logged[0]!.includes(schemaCopy(file, version)));

    const kept = new Database(schemaCopy(file, version), { readonly: true });
    assert.equal(schemaVersion(kept), version);
    assert.deepEqual(rowsOf(kept), before);
    kept.close();

    const writer = new Writer(db, { maxOutbox: 100 });
    assert.deepEqual(
      writer.leftOpen().map(({ event }) => event.label),
      ["hund 'ü'"],
    );
    assert.deepEqual(writer.commit(batch({ events: [entry({ id: 'new' })] })), []);
    assert.deepEqual(
      writer.outbox(0, 10).map(({ id }) => id),
      [7, 8, 9],
      'ids go on, and none is used again',
    );
    db.close();
    const reader = new Reader(file);
    assert.equal([...reader.events({})].length, 3);
    reader.close();
  });
}

test('only the newest copy of this database is kept, and a current database is not copied', () => {
  const path = folder();
  const file = leftBy(2, path);
  const foreign = `${file}.schema-1`;
  renameSync(leftBy(1), foreign);
  openForWriting(file).close();
  openForWriting(file).close();
  const copies = () => readdirSync(path).filter((name) => name.includes('schema'));
  assert.deepEqual(copies(), ['lookout.db.schema-1', 'lookout.db.schema-2'], 'it was there before');

  // Another downgrade and upgrade: an existing file with the name of the copy is kept, too.
  writeFileSync(join(path, 'lookout.db.schema-3'), 'mine');
  const db = openForWriting(file);
  copyBeforeMigration(db, file, 3);
  const list = new Copies(db, file);
  list.add('lookout.db.schema-3');
  list.keepNewest('lookout.db.schema-', 1);
  db.close();
  assert.deepEqual(copies(), ['lookout.db.schema-1', 'lookout.db.schema-3', 'lookout.db.schema-3.kept-1']);
  assert.equal(readFileSync(join(path, 'lookout.db.schema-3.kept-1'), 'utf8'), 'mine');
});

test('a downgrade is refused with a hint how to go back, and the hint works', () => {
  const file = leftBy(1);
  const db = openForWriting(file);
  db.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
  db.close();
  renameSync(schemaCopy(file, 1), schemaCopy(file, SCHEMA_VERSION));
  let hint = '';
  assert.throws(
    () => openForWriting(file),
    (error: { code: string; hint: string }) => {
      hint = error.hint;
      return error.code === 'STORE_TOO_NEW';
    },
  );
  execFileSync('sh', ['-c', /mv .*$/.exec(hint)![0]]);
  openForWriting(file).close();
  assert.ok(existsSync(`${file}.newer`));
});

test('a disk that is too full for the copy leaves the database unchanged', (t) => {
  const path = join(folder(), 'disk');
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    t.skip('needs the right to mount a small file system');
    return;
  }
  t.after(() => execFileSync('umount', [path]));
  const file = leftBy(1, path);
  const old = new Database(file);
  old.exec(
    "INSERT INTO counters VALUES ('large', 1); CREATE TABLE filler (x); INSERT INTO filler VALUES (zeroblob(120000))",
  );
  old.close();
  assert.throws(() => openForWriting(file), { code: 'STORE_FULL' });
  assert.ok(!readdirSync(path).some((name) => name.includes('schema')));
  const after = new Database(file);
  assert.equal(schemaVersion(after), 1);
  after.close();
});
