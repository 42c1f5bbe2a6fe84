import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config/load-config.ts';
import { FileList } from '../../../src/store/file-list.ts';
import { fileNote, folder, freshDatabase, jpegOf, markedJpeg, snapshotsIn } from '../../support/store.ts';

/** Names and paths that lead out of a folder. */
const WAYS_OUT = ['..', '../..', '../../etc/cron.d/x', 'a/../../../b', '.', ''];

test('no name of a camera, zone or device leads out of the data folder', () => {
  const file = join(folder(), 'lookout.yaml');
  const load = (settings: object) => {
    writeFileSync(file, stringify(settings));
    return loadConfig({ file, env: {} });
  };
  const source = { kind: 'demo' };
  const polygon = [
    [0, 0],
    [1, 0],
    [1, 1],
  ];
  load({ device: 'porch', cameras: { door: { source, zones: { drive: { polygon } } } } });
  for (const name of [...WAYS_OUT, '/etc/passwd', 'a\\..\\b', 'a\0b', '%2e%2e', 'A', '..%2f', '~', '$HOME']) {
    for (const settings of [
      { cameras: { [name]: { source } } },
      { cameras: { door: { source, zones: { [name]: { polygon } } } } },
      { device: name },
    ]) {
      assert.throws(() => load(settings), { code: 'CONFIG_INVALID' }, JSON.stringify(settings));
    }
  }
});

test('no snapshot is written or deleted outside the snapshot folder', async (t) => {
  const path = folder();
  const db = freshDatabase(t);
  const snapshots = snapshotsIn(join(path, 'snapshots'), db);
  await snapshots.open();
  const outside = join(path, 'keep.jpg');
  writeFileSync(outside, markedJpeg(new FileList(db).installation, 'a'));
  for (const way of [...WAYS_OUT, '../keep.jpg', 'door/../../keep.jpg', 'door\0.jpg']) {
    await assert.rejects(snapshots.write(fileNote(way), jpegOf(100)), way);
    new FileList(db).note(fileNote(way));
    snapshots.remove([way]);
  }
  assert.ok(existsSync(outside));
  assert.deepEqual(readdirSync(path).sort(), ['keep.jpg', 'snapshots']);
});
