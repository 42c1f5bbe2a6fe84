import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  isDamage,
  lockForWriting,
  openForWriting,
  quarantine,
  unwritable,
} from '../../../src/store/connection.ts';
import { folder } from '../../support/store.ts';

test('a database is opened so that a commit survives a power cut and space can be given back', () => {
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
    message: /file\/sub\/lookout\.db: cannot be written: .*(ENOTDIR|EEXIST)/,
  });
});

test('what may pass by itself, such as a full disk, is told from what somebody must put right', () => {
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

test('rubbish in place of the database is recognised as damage', () => {
  const file = join(folder(), 'lookout.db');
  writeFileSync(file, 'this is no database. '.repeat(1000));
  assert.throws(
    () => openForWriting(file),
    (error) => isDamage(error),
  );
});

test('one process alone gets the lock, and may get it again after giving it back', () => {
  const file = join(folder(), 'lookout.db');
  const unlock = lockForWriting(file);
  assert.throws(() => lockForWriting(file), { code: 'STORE_LOCKED', message: /another Lookout/ });
  unlock();
  lockForWriting(file)();
});

test('a damaged database is moved aside with its write-ahead log, and only the newest three are kept', () => {
  const path = folder();
  const file = join(path, 'lookout.db');
  for (let day = 1; day <= 5; day++) {
    writeFileSync(file, `damaged ${day}`);
    writeFileSync(`${file}-wal`, 'log');
    const aside = quarantine(file, Date.UTC(2026, 0, day, 12, 30));
    assert.equal(aside, `${file}.corrupt-2026010${day}T123000Z`);
    assert.equal(readFileSync(aside, 'utf8'), `damaged ${day}`);
    assert.ok(!existsSync(file) && !existsSync(`${file}-wal`));
  }
  assert.deepEqual(readdirSync(path).sort(), [
    'lookout.db.corrupt-20260103T123000Z',
    'lookout.db.corrupt-20260103T123000Z-wal',
    'lookout.db.corrupt-20260104T123000Z',
    'lookout.db.corrupt-20260104T123000Z-wal',
    'lookout.db.corrupt-20260105T123000Z',
    'lookout.db.corrupt-20260105T123000Z-wal',
  ]);
});
