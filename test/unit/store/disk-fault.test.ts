import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openForWriting } from '../../../src/store/database.ts';
import { findDiskFault } from '../../../src/store/disk-fault.ts';
import { requires } from '../../support/requires.ts';
import { folder } from '../../support/store.ts';

const CONNECTION = new URL('../../../src/store/database.ts', import.meta.url).href;
const notRoot = process.getuid?.() !== 0 && 'needs root to become another user and to mount';
const noMount = notRoot || requires('mount');
const noOther =
  notRoot ||
  (spawnSync(process.execPath, ['--version'], { uid: 65534, cwd: '/' }).status !== 0 &&
    'needs a checkout that other users can read');

/** The error of `openForWriting` for a user without permissions. */
function asNobody(file: string): string {
  const program = `import { openForWriting } from ${JSON.stringify(CONNECTION)};
    try { openForWriting(process.argv[1]); } catch (error) { console.log(error.code, error.message); }`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program, file], {
    ...{ uid: 65534, gid: 65534, encoding: 'utf8', cwd: '/' },
  });
  return stdout.trim();
}

function smallDisk(t: TestContext): string {
  const path = join(folder(), 'disk');
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path]);
  t.after(() => execFileSync('umount', [path]));
  return path;
}

test('a database of another user is reported with EACCES', { skip: noOther }, () => {
  const path = folder();
  chmodSync(path, 0o755);
  const file = join(path, 'lookout.db');
  openForWriting(file).close();
  assert.match(
    asNobody(file),
    /^STORE_UNWRITABLE .*lookout\.db: cannot write: .*: user 65534 has no write permission \(EACCES\)$/,
  );
});

test('a file of another user next to the database is reported with EACCES', { skip: noOther }, () => {
  const path = folder();
  const file = join(path, 'lookout.db');
  openForWriting(file).close();
  for (const own of [path, file]) chownSync(own, 65534, 65534);
  writeFileSync(`${file}-wal`, '');
  chmodSync(`${file}-wal`, 0o600);
  assert.match(
    asNobody(file),
    /cannot write: \S+lookout\.db-wal: user 65534 has no write permission \(EACCES\)$/,
  );
});

test('without a fault none is found', () => {
  assert.equal(findDiskFault(join(folder(), 'not', 'there', 'lookout.db')), null);
});

describe('a disk', { skip: noMount }, () => {
  test('a read-only disk is reported as read-only', (t) => {
    const path = smallDisk(t);
    const file = join(path, 'lookout.db');
    openForWriting(file).close();
    execFileSync('mount', ['-o', 'remount,ro', path]);
    assert.throws(() => openForWriting(file), {
      code: 'STORE_FULL',
      message:
        /lookout\.db: cannot write, the disk is full or faulty: \S+disk: the file system is read-only \(EROFS\)$/,
    });
  });

  test('a full disk is reported as full, whatever code SQLite has', (t) => {
    const path = smallDisk(t);
    assert.throws(() => writeFileSync(join(path, 'filler'), Buffer.alloc(2_000_000)), { code: 'ENOSPC' });
    assert.equal(findDiskFault(join(path, 'lookout.db'))?.code, 'ENOSPC');
  });

  test('a disk that the kernel has shut down after an error is reported as read-only, although its flags do not show it', {
    skip: requires('mkfs.ext4'),
  }, (t) => {
    const path = folder();
    const [image, disk] = [join(path, 'image'), join(path, 'disk')];
    writeFileSync(image, Buffer.alloc(8_000_000));
    mkdirSync(disk);
    execFileSync('mkfs.ext4', ['-q', image]);
    const { status } = spawnSync('mount', ['-o', 'loop', image, disk]);
    if (status !== 0) {
      t.skip('needs loop devices');
      return;
    }
    t.after(() => execFileSync('umount', [disk]));
    const file = join(disk, 'lookout.db');
    openForWriting(file).close();
    execFileSync('mount', ['-o', 'remount,abort', disk]);
    assert.throws(() => openForWriting(file), {
      code: 'STORE_FULL',
      message: /the file system is read-only \(EROFS\)$/,
    });
  });
});
