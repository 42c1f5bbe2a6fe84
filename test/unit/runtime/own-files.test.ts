import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  createDraft,
  createEmpty,
  freeName,
  isProven,
  isSame,
  makeFolder,
  makeNotedFolder,
  type Proof,
  removeEmptyFolder,
  removeFile,
  removeFolder,
  removeLeftFolder,
  writeNew,
} from '../../../src/runtime/own-files.ts';
import { tempFolder } from '../../support/folder.ts';

const source = resolve(import.meta.dirname, '../../../src');

/** Where a person names the file that is to be written, which is replaced then as everywhere. */
const NAMED_BY_A_PERSON = ['commands/export-command.ts', 'doctor/bundle.ts'];

test('no other module deletes, truncates or overwrites', () => {
  const offences: string[] = [];
  for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || name === 'runtime/own-files.ts') continue;
    const text = readFileSync(join(source, name), 'utf8');
    const imported = [
      ...text.matchAll(/import\s*(?:\{([^}]*)\}|\* as \w+|\w+)\s*from 'node:fs(?:\/promises)?'/g),
    ];
    for (const [statement, names] of imported) {
      if (names === undefined) offences.push(`${name}: ${statement}`);
      for (const [what] of (names ?? '').matchAll(
        /\b(?:unlink|rm|rmdir|f?truncate|cp|mkdtemp)(?:Sync)?\b/g,
      )) {
        offences.push(`${name}: ${what}`);
      }
    }
    if (/(?:import|require)\('(?:node:)?fs/.test(text)) {
      for (const [what] of text.matchAll(/\b(?:unlink|rm|rmdir|f?truncate|cp)(?:Sync)?\s*[(}]/g)) {
        offences.push(`${name}: ${what}`);
      }
    }
    // Opening for writing empties a file that is there.
    if (NAMED_BY_A_PERSON.includes(name)) continue;
    for (const [what] of text.matchAll(/open(?:Sync)?\([^)]*, '(?:w|w\+)'|createWriteStream\(/g)) {
      offences.push(`${name}: ${what}`);
    }
  }
  assert.deepEqual(offences, []);
});

describe('own files', () => {
  let folder: string;
  const any: Proof = () => true;
  const names = (path = folder) => readdirSync(path).sort();
  const put = (name: string, content = 'mine') => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };

  beforeEach(() => {
    folder = tempFolder();
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('a file goes when it is proven, and stays when it is not', () => {
    const path = put('a', 'written by Lookout');
    assert.equal(
      removeFile(path, ({ head }) => head(7).toString() === 'WRITTEN'),
      'unproven',
    );
    assert.equal(
      removeFile(path, ({ stats, head }) => head(99).length === stats.size - 1),
      'unproven',
    );
    assert.ok(isProven(path, any) && existsSync(path));
    assert.equal(
      removeFile(path, ({ head }) => head(7).toString() === 'written'),
      'removed',
    );
    assert.equal(removeFile(path, any), 'missing');
  });

  test('what is no plain file stays, whatever the proof says', () => {
    const photo = put('photo');
    symlinkSync(photo, join(folder, 'link'));
    symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'));
    mkdirSync(join(folder, 'folder'));
    for (const name of ['link', 'dangling', 'folder']) {
      assert.equal(removeFile(join(folder, name), any), 'unproven', name);
    }
    assert.deepEqual(names(), ['dangling', 'folder', 'link', 'photo']);
  });

  test('a link on the way that leads out of the folder keeps everything behind it', () => {
    const photos = join(folder, 'photos');
    const snapshots = join(folder, 'snapshots');
    mkdirSync(join(photos, '2026-01-31'), { recursive: true });
    mkdirSync(snapshots);
    const photo = put('photos/2026-01-31/a.jpg');
    symlinkSync(photos, join(snapshots, 'drive'));
    const path = join(snapshots, 'drive/2026-01-31/a.jpg');
    assert.equal(removeFile(path, any, snapshots), 'unproven');
    rmSync(photo);
    assert.equal(removeEmptyFolder(join(snapshots, 'drive/2026-01-31'), snapshots), false);
    assert.ok(existsSync(join(photos, '2026-01-31')));
    const way = join(folder, 'way');
    symlinkSync(snapshots, way);
    mkdirSync(join(snapshots, 'door'));
    put('snapshots/door/b.jpg');
    assert.equal(removeFile(join(way, 'door/b.jpg'), any, way), 'removed', 'the folder itself may be a link');
    assert.equal(removeEmptyFolder(join(way, 'door'), way), true);
  });

  test('of a file with two names one goes, and its content stays', () => {
    const path = put('snapshot');
    linkSync(path, join(folder, 'kept'));
    assert.equal(removeFile(path, isSame(statSync(path))), 'removed');
    assert.equal(readFileSync(join(folder, 'kept'), 'utf8'), 'mine');
  });

  test('another file under the same name is not the same', () => {
    const path = put('a');
    const identity = statSync(path);
    put('b', 'of somebody else');
    renameSync(join(folder, 'b'), path);
    assert.equal(removeFile(path, isSame(identity)), 'unproven');
  });

  test('a draft takes its place whole, or leaves nothing', async () => {
    const target = put('target', 'before');
    const draft = await createDraft(target);
    await draft.handle.writeFile('after');
    assert.equal(readFileSync(target, 'utf8'), 'before');
    await draft.moveTo(target);
    await draft.discard();
    assert.equal(readFileSync(target, 'utf8'), 'after');

    const given = await createDraft(target);
    await given.discard();
    await given.discard();
    const blocked = await createDraft(target);
    await assert.rejects(blocked.moveTo(folder), { code: /EISDIR|ENOTEMPTY/ });
    await blocked.discard();
    createEmpty(target).remove();
    assert.deepEqual(names(), ['target']);
  });

  test('a draft never opens a file that is there', async () => {
    const path = put('target.tag.draft');
    await assert.rejects(createDraft(join(folder, 'target'), 0o666, 'tag'), { code: 'EEXIST' });
    assert.throws(() => writeNew(path, 'new'), { code: 'EEXIST' });
    assert.equal(readFileSync(path, 'utf8'), 'mine');
  });

  test('a folder goes with all that is in it when it was made here, and no other', async () => {
    const made = await makeFolder(join(folder, 'made-'));
    writeFileSync(join(made, 'file'), '');
    symlinkSync(put('photo'), join(made, 'link'));
    const other = join(folder, 'other');
    mkdirSync(other);
    await removeFolder(other);
    await removeFolder(made);
    assert.deepEqual(names(), ['other', 'photo']);

    const replaced = await makeFolder(join(folder, 'made-'));
    rmSync(replaced, { recursive: true });
    symlinkSync(other, replaced);
    await removeFolder(replaced);
    assert.ok(lstatSync(replaced).isSymbolicLink() && existsSync(other));
  });

  test('a folder that a killed process left is known by the note in it, and only where that was made', async () => {
    const left = await makeNotedFolder(join(folder, 'left-'));
    const note = readdirSync(left)[0]!;
    const copy = join(folder, 'copy');
    mkdirSync(copy);
    writeFileSync(join(copy, note), readFileSync(join(left, note)));
    assert.equal(await removeLeftFolder(copy), false);
    assert.equal(await removeLeftFolder(join(folder, 'nowhere')), false);
    assert.equal(await removeLeftFolder(left), true);
    assert.deepEqual(names(), ['copy']);
  });

  test('an empty folder goes, one with something in it stays', () => {
    mkdirSync(join(folder, 'empty'));
    mkdirSync(join(folder, 'full/deep'), { recursive: true });
    assert.equal(removeEmptyFolder(join(folder, 'empty'), folder), true);
    assert.equal(removeEmptyFolder(join(folder, 'empty'), folder), false);
    assert.equal(removeEmptyFolder(join(folder, 'full'), folder), false);
    assert.deepEqual(names(), ['full']);
  });

  test('a free name is one that nothing has', () => {
    assert.equal(freeName(join(folder, 'db'), '.kept-'), join(folder, 'db.kept-1'));
    symlinkSync('nowhere', join(folder, 'db.kept-1'));
    assert.equal(relative(folder, freeName(join(folder, 'db'), '.kept-')), 'db.kept-2');
  });
});
