import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tarGz } from '../../../src/doctor/tar.ts';
import { tempFolder } from '../../support/daemon.ts';

test('tar extracts files of every length', () => {
  const files = [0, 1, 511, 512, 513, 70_000].map((length) => ({
    name: `support/${length}.txt`,
    text: 'ü'.repeat(length),
  }));
  const archive = join(tempFolder(), 'a.tar.gz');
  writeFileSync(archive, tarGz(files, 1_700_000_000));
  const list = execFileSync('tar', ['-tvzf', archive], {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
  });
  assert.equal(list.trimEnd().split('\n').length, files.length);
  assert.match(list, /^-rw------- 0\/0 +0 2023-11-14 22:13 support\/0\.txt$/m);
  for (const { name, text } of files)
    assert.equal(execFileSync('tar', ['-xzOf', archive, name], { encoding: 'utf8' }), text, name);
});
