import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { readAnnounced, writeAnnounced } from '../../../src/store/announced-topics.ts';
import { backUp, backUpChoices, backupOf, restore } from '../../../src/store/backup.ts';
import { readChoices, writeChoices } from '../../../src/store/choice-rows.ts';
import { openForWriting } from '../../../src/store/database.ts';
import type { Choice } from '../../../src/store/store-types.ts';
import { folder, freshDatabase } from '../../support/store.ts';

const off: Choice = {
  camera: 'gate',
  setting: 'enabled',
  value: 'false',
  configured: 'true',
  chosenAt: 1_777_636_870_000,
};
const threshold: Choice = { ...off, setting: 'threshold', value: '0.7', configured: '{}' };

test('a choice is kept until it is deleted, and the latest one of a setting counts', (t) => {
  const db = freshDatabase(t);
  writeChoices(db, { keep: [off, threshold], forget: [] });
  writeChoices(db, { keep: [{ ...threshold, value: '0.8' }], forget: [] });
  assert.deepEqual(readChoices(db), [off, { ...threshold, value: '0.8' }]);
  writeChoices(db, { keep: [], forget: [off] });
  assert.deepEqual(readChoices(db), [{ ...threshold, value: '0.8' }]);
});

test('announced topics are kept separately for each broker', (t) => {
  const db = freshDatabase(t);
  writeAnnounced(db, { broker: 'mqtt://a', added: ['x/猫', 'x/y', 'x/y'], removed: [] });
  writeAnnounced(db, { broker: 'mqtt://b', added: ['x/y'], removed: [] });
  writeAnnounced(db, { broker: 'mqtt://a', added: [], removed: ['x/y', 'never there'] });
  assert.deepEqual(readAnnounced(db, 'mqtt://a'), ['x/猫']);
  assert.deepEqual(readAnnounced(db, 'mqtt://b'), ['x/y']);
});

test('a choice survives a database that is overwritten right after it was made', () => {
  const file = join(folder(), 'lookout.db');
  const db = openForWriting(file);
  backUp(db, file);
  writeChoices(db, { keep: [off, threshold], forget: [] });
  backUpChoices(db, file);
  writeChoices(db, { keep: [], forget: [threshold] });
  backUpChoices(db, file);
  db.close();
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
  const damaged = `${file}.damaged`;
  writeFileSync(damaged, 'no database');
  const fresh = openForWriting(file);
  restore(fresh, file, damaged);
  assert.deepEqual(readChoices(fresh), [off]);
  fresh.close();
});

test('the backup has the announced topics, too, and is not written if nothing has changed', () => {
  const file = join(folder(), 'lookout.db');
  const db = openForWriting(file);
  writeAnnounced(db, { broker: 'mqtt://a', added: ['x/y'], removed: [] });
  writeChoices(db, { keep: [off], forget: [] });
  backUp(db, file);
  const watching = new Database(backupOf(file), { readonly: true });
  assert.deepEqual(readAnnounced(watching, 'mqtt://a'), ['x/y']);
  const before = watching.pragma('data_version', { simple: true });
  backUpChoices(db, file);
  assert.equal(watching.pragma('data_version', { simple: true }), before);
  writeChoices(db, { keep: [], forget: [off] });
  backUpChoices(db, file);
  assert.notEqual(watching.pragma('data_version', { simple: true }), before);
  watching.close();
  db.close();
});
