import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { backUp, backupOf, restore } from '../../../src/store/backup.ts';
import { timeHistory } from '../../../src/store/clocks.ts';
import { openForWriting } from '../../../src/store/database.ts';
import { Writer } from '../../../src/store/writer.ts';
import { batch, entry, fileNote, folder } from '../../support/store.ts';

function setup(t: TestContext, path = folder()) {
  const file = join(path, 'lookout.db');
  const db = openForWriting(file);
  t.after(() => db.close());
  const writer = new Writer(db, { maxOutbox: 100 });
  const logged: string[] = [];
  const record = (...ids: string[]) =>
    writer.commit(batch({ events: ids.map((id) => entry({ id }, 'end')) }));
  return { path, file, db, writer, logged, record, run: () => backUp(db, file, (what) => logged.push(what)) };
}

function ids(file: string): unknown[] {
  const db = new Database(file, { readonly: true });
  try {
    return db.prepare('SELECT id FROM events ORDER BY seq').pluck().all();
  } finally {
    db.close();
  }
}

const keptIn = (path: string) => readdirSync(path).filter((name) => /\.kept-\d+$/.test(name));

test('a backup follows its database: new rows are added, deleted rows are removed', (t) => {
  const { file, db, record, run, logged, path } = setup(t);
  record('a', 'b');
  run();
  record('c');
  db.exec("DELETE FROM events WHERE id = 'a'");
  run();
  assert.deepEqual(ids(backupOf(file)), ['b', 'c']);
  assert.deepEqual([logged, keptIn(path)], [[], []]);
});

test('a new database does not overwrite the backup of a lost one', (t) => {
  const first = setup(t);
  first.record('a', 'b');
  first.run();
  for (const suffix of ['', '-wal', '-shm']) rmSync(first.file + suffix, { force: true });
  const next = setup(t, first.path);
  next.record('c');
  next.run();
  next.run();
  assert.deepEqual(ids(backupOf(next.file)), ['c']);
  const [kept = '', ...more] = keptIn(next.path);
  assert.equal(more.length, 0);
  assert.deepEqual(ids(join(next.path, kept)), ['a', 'b']);
  assert.deepEqual(next.logged.length, 1);
  assert.match(
    next.logged[0]!,
    /lookout\.db\.backup is not the backup of this database; keeping it as .*kept-1$/,
  );
});

test('an older copy of a database does not delete rows that only the backup has', (t) => {
  const path = folder();
  const now = setup(t, path);
  now.record('a');
  now.db.pragma('wal_checkpoint(TRUNCATE)');
  copyFileSync(now.file, join(path, 'copy'));
  now.record('b');
  now.run();
  now.db.close();
  renameSync(join(path, 'copy'), now.file);
  const older = setup(t, path);
  older.run();
  assert.deepEqual(ids(backupOf(older.file)), ['a']);
  assert.deepEqual(ids(join(path, keptIn(path)[0]!)), ['a', 'b']);
});

test('a copy with the name of the backup is kept', (t) => {
  const { file, db, path, record, run } = setup(t);
  record('a');
  db.pragma('wal_checkpoint(TRUNCATE)');
  copyFileSync(file, backupOf(file));
  db.exec('DELETE FROM events');
  run();
  assert.deepEqual(ids(join(path, keptIn(path)[0]!)), ['a']);
  writeFileSync(`${file}.photo`, 'a photo');
  rmSync(backupOf(file));
  renameSync(`${file}.photo`, backupOf(file));
  run();
  assert.deepEqual(keptIn(path).length, 2, 'any file');
});

test('a damaged backup is replaced', (t) => {
  const { file, path, record, run, logged } = setup(t);
  record('a');
  run();
  writeFileSync(backupOf(file), Buffer.alloc(8192, 0xa5), { flag: 'r+' });
  run();
  assert.deepEqual(ids(backupOf(file)), ['a']);
  assert.deepEqual([logged, keptIn(path)], [[], []]);
});

test('a database that may be damaged does not rename a backup', (t) => {
  const { file, db, record, run } = setup(t);
  record('a', 'b');
  run();
  db.exec('DELETE FROM events');
  assert.throws(() => backUp(db, file), /is not the backup/);
  assert.deepEqual(ids(backupOf(file)), ['a', 'b']);
});

test('a restored database is the same installation, with its file list and its copies', (t) => {
  const { file, path, db, writer, record, run } = setup(t);
  record('a');
  writer.files.note(fileNote('drive/2026-01-31/a.jpg'));
  db.exec("INSERT INTO copies (name, inode) VALUES ('lookout.db.schema-3', 7)");
  db.exec('UPDATE installation SET known_at = 42');
  db.exec("INSERT INTO clocks (id, boot, ahead, began) VALUES (7, 'boot', 1, 2)");
  run();
  db.close();
  const damaged = `${file}.corrupt`;
  renameSync(file, damaged);
  writeFileSync(damaged, 'all of it');
  const fresh = openForWriting(file);
  t.after(() => fresh.close());
  assert.equal(restore(fresh, file, damaged), 1);
  const row = fresh.prepare('SELECT id, is_backup, known_at FROM installation').all();
  assert.deepEqual(row, [{ id: writer.files.installation, is_backup: 0, known_at: 42 }]);
  const again = new Writer(fresh, { maxOutbox: 100 });
  assert.equal(again.files.find('drive/2026-01-31/a.jpg')?.event, 'a');
  assert.equal(fresh.prepare("SELECT inode FROM copies WHERE name = 'lookout.db.schema-3'").pluck().get(), 7);
  assert.equal(timeHistory(fresh).last?.id, 7, 'the numbering of clock settings continues');
  const logged: string[] = [];
  backUp(fresh, file, (what) => logged.push(what));
  assert.deepEqual([logged, keptIn(path)], [[], []], 'the backup continues');
  assert.ok(existsSync(join(path, basename(damaged))));
});
