import assert from 'node:assert/strict';
import { linkSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockForWriting, realFile } from '../../../src/store/lock.ts';
import { folder } from '../../support/store.ts';

const TAKEN = { code: 'STORE_LOCKED', message: /another Lookout/ };

test('only one process gets the lock, and it can get the lock again after releasing it', async () => {
  const file = join(folder(), 'lookout.db');
  const unlock = await lockForWriting(file);
  await assert.rejects(lockForWriting(file), TAKEN);
  unlock();
  (await lockForWriting(file))();
});

test('the lock holds for the file, whatever path it is opened by', async () => {
  const path = realpathSync(folder());
  const file = join(path, 'lookout.db');
  writeFileSync(file, '');
  mkdirSync(join(path, 'other'));
  symlinkSync(path, join(path, 'other', 'folder'));
  symlinkSync('../lookout.db', join(path, 'other', 'soft.db'));
  linkSync(file, join(path, 'other', 'hard.db'));
  const unlock = await lockForWriting(file);
  for (const name of ['other/folder/lookout.db', 'other/soft.db', 'other/hard.db', './other/.././lookout.db'])
    await assert.rejects(lockForWriting(realFile(`${path}/${name}`)), TAKEN, name);
  unlock();
  (await lockForWriting(join(path, 'other', 'hard.db')))();
});

test('the real path of a file is known before the file exists', () => {
  const path = realpathSync(folder());
  symlinkSync(join(path, 'absent', 'lookout.db'), join(path, 'link.db'));
  symlinkSync(path, join(path, 'here'));
  assert.equal(realFile(join(path, 'link.db')), join(path, 'absent', 'lookout.db'));
  assert.equal(realFile(join(path, 'here', 'new', 'lookout.db')), join(path, 'new', 'lookout.db'));
});
