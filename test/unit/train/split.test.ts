import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tarFiles, unpackSplit } from '../../../scripts/train/evaluate/split.ts';
import { tempFolder } from '../../support/daemon.ts';

/** A set of three pictures, packed by the system's tar. */
function pictureSet(): string {
  const folder = tempFolder();
  mkdirSync(join(folder, 'cat'));
  for (const name of ['one', 'two', 'three'])
    writeFileSync(join(folder, 'cat', `${name}.jpg`), name.repeat(300));
  for (const [split, names] of [
    ['test', ['one', 'two']],
    ['val', ['three']],
  ] as const) {
    const files = names.map((name) => `cat/${name}.jpg`);
    execFileSync('tar', ['--format=ustar', '-cf', `${split}.tar`, ...files], { cwd: folder });
  }
  const rows = ['one,cat,test,zoo', 'two,cat,test,park', 'three,cat,val,zoo'];
  writeFileSync(join(folder, 'labels.csv'), `id,class,split,source\n${rows.join('\n')}\n`);
  return folder;
}

test('a split is unpacked with the labels and sources of its pictures', () => {
  const data = pictureSet();
  const pictures = unpackSplit(data, 'test', join(data, 'out'));
  assert.deepEqual(
    pictures.map(({ id, label, source }) => [id, label, source]),
    [
      ['one', 'cat', 'zoo'],
      ['two', 'cat', 'park'],
    ],
  );
  assert.equal(readFileSync(pictures[0]!.file, 'utf8'), 'one'.repeat(300));
  assert.throws(() => unpackSplit(data, 'train', join(data, 'none')), /no pictures of train/);
});

test('folders in an archive are no files, and long paths are put together', () => {
  const folder = tempFolder();
  const long = join('a'.repeat(90), 'b'.repeat(60));
  mkdirSync(join(folder, long), { recursive: true });
  writeFileSync(join(folder, long, 'c.jpg'), 'x');
  execFileSync('tar', ['--format=ustar', '-cf', 'all.tar', 'a'.repeat(90)], { cwd: folder });
  const files = [...tarFiles(readFileSync(join(folder, 'all.tar')))];
  assert.deepEqual(
    files.map(({ name, bytes }) => [name, bytes.toString()]),
    [[join(long, 'c.jpg'), 'x']],
  );
});
