import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import {
  isDamage,
  listQuarantined,
  openForWriting,
  quarantine,
  unwritable,
} from '../../../src/store/database.ts';
import { folder, freshDatabase } from '../../support/store.ts';

test('a database is opened so that a commit survives a power cut and space can be released', () => {
  const file = join(folder(), 'deep', 'down', 'lookout.db');
  const db = openForWriting(file);
  const pragma = (name: string) => db.pragma(name, { simple: true });
  assert.equal(pragma('journal_mode'), 'wal');
  assert.equal(pragma('synchronous'), 2);
  assert.equal(pragma('auto_vacuum'), 2);
  assert.equal(pragma('foreign_keys'), 1);
  assert.equal(pragma('journal_size_limit'), 4194304);
  assert.equal(pragma('busy_timeout'), 5000);
  db.close();

  const again = openForWriting(file);
  assert.equal(again.pragma('auto_vacuum', { simple: true }), 2);
  again.close();
});

test('a folder that cannot be created is named with the reason', () => {
  const blocker = join(folder(), 'file');
  writeFileSync(blocker, '');
  assert.throws(() => openForWriting(join(blocker, 'sub', 'lookout.db')), {
    code: 'STORE_UNWRITABLE',
    message: /file\/sub\/lookout\.db: cannot write: .*(ENOTDIR|EEXIST)/,
  });
});

test('faults that may pass, such as a full disk, are distinguished from those that the user must fix', () => {
  for (const [code, expected] of [
    ['SQLITE_FULL', 'STORE_FULL'],
    ['SQLITE_IOERR_WRITE', 'STORE_FULL'],
    ['ENOSPC', 'STORE_FULL'],
    ['EROFS', 'STORE_FULL'],
    ['EACCES', 'STORE_UNWRITABLE'],
    ['SQLITE_READONLY', 'STORE_UNWRITABLE'],
  ] as const) {
    const error = unwritable('database', '/data/lookout.db', Object.assign(new Error('no'), { code }));
    assert.equal(error.code, expected, code);
    assert.equal(error.exitCode, expected === 'STORE_FULL' ? 70 : 78);
  }
});

test('a folder in place of the database is refused', () => {
  const file = join(folder(), 'lookout.db');
  mkdirSync(file);
  assert.throws(() => openForWriting(file), { code: 'STORE_UNWRITABLE' });
});

test('invalid content in place of the database is recognised as damage', () => {
  const file = join(folder(), 'lookout.db');
  writeFileSync(file, 'this is no database. '.repeat(1000));
  assert.throws(
    () => openForWriting(file),
    (error) => isDamage(error),
  );
});

test('a damaged database is renamed with its write-ahead log, and only the newest three are kept', (t) => {
  const path = folder();
  const file = join(path, 'lookout.db');
  const db = freshDatabase(t);
  const own = [
    'lookout.db.corrupt-19990101T000000Z',
    'lookout.db.corrupt-mine-Z',
    'lookout.db.corrupt-20260101T123000Z',
  ];
  for (const name of own) writeFileSync(join(path, name), 'SQLite format 3\0 of somebody');
  const asides: string[] = [];
  // The clock goes back: the order is that of the renames.
  for (const day of [5, 4, 3, 2, 1]) {
    writeFileSync(file, `SQLite format 3\0 damaged ${day}`);
    writeFileSync(`${file}-wal`, 'log');
    const aside = quarantine(file, Date.UTC(2026, 0, day, 12, 30));
    asides.push(aside);
    assert.ok(aside.startsWith(`${file}.corrupt-2026010${day}T123000Z`));
    assert.match(readFileSync(aside, 'utf8'), new RegExp(`damaged ${day}`));
    assert.ok(!existsSync(file) && !existsSync(`${file}-wal`));
    listQuarantined(db, file, aside);
  }
  const kept = asides.slice(-3).map((aside) => basename(aside));
  assert.equal(kept.at(-1), 'lookout.db.corrupt-20260101T123000Z-1', 'an existing file keeps its name');
  assert.deepEqual(readdirSync(path).sort(), [...own, ...kept, ...kept.map((name) => `${name}-wal`)].sort());
});

test('a file that is not a database is renamed and never deleted', (t) => {
  const path = folder();
  const file = join(path, 'lookout.db');
  const db = freshDatabase(t);
  for (let day = 1; day <= 5; day++) {
    writeFileSync(file, `photo ${day}`);
    listQuarantined(db, file, quarantine(file, Date.UTC(2026, 0, day)));
  }
  assert.equal(readdirSync(path).length, 5);
});

test('a database of another program stays unchanged', () => {
  const file = join(folder(), 'home-assistant.db');
  const other = new Database(file);
  other.exec('CREATE TABLE states (x); INSERT INTO states VALUES (1)');
  other.close();
  const before = readFileSync(file);
  assert.throws(() => openForWriting(file), {
    code: 'STORE_UNWRITABLE',
    message: /belongs to another program/,
  });
  assert.deepEqual(readFileSync(file), before);
});
