import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { tempFolder } from '../support/daemon.ts';
import { requires } from '../support/requires.ts';

const run = promisify(execFile);
const checkout = resolve(import.meta.dirname, '../..');
const skip = requires('bash', 'tar');

/** Files and links below a folder with their content and mode; folders with nothing in them do not count. */
function contents(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    if (entry.isSymbolicLink()) found[name] = `-> ${readlinkSync(path)}`;
    else if (entry.isFile()) {
      const mode = (statSync(path).mode & 0o777).toString(8);
      found[name] = `${mode} ${createHash('sha1').update(readFileSync(path)).digest('hex')}`;
    }
  }
  return found;
}

describe('scripts/install.sh', { skip }, () => {
  let dest: string;
  const install = (...args: string[]) => installFrom(checkout, args);
  const installFrom = (folder: string, args: string[], into = dest) =>
    run('bash', [join(folder, 'scripts/install.sh'), ...args], { env: { ...process.env, DESTDIR: into } });
  const installed = (...path: string[]) => join(dest, 'opt/lookout', ...path);
  const config = (folder: string) => join(folder, 'etc/lookout/lookout.yaml');

  before(async () => {
    dest = tempFolder();
    await install();
  });

  test('the installed command runs on its own Node.js and with its own packages', async () => {
    const { stdout } = await run(installed('bin/lookout'), ['version', '--json'], {
      cwd: dest,
      env: { PATH: '/usr/bin:/bin' },
    });
    const versions = JSON.parse(stdout) as Record<string, string>;
    const manifest = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
      version: string;
      optionalDependencies: Record<string, string>;
    };
    assert.equal(versions.lookout, manifest.version);
    assert.equal(versions.node, manifest.optionalDependencies[`node-linux-${process.arch}`]);
  });

  test('what only developers need and what is for other machines stays behind', () => {
    const other = process.arch === 'arm64' ? 'x64' : 'arm64';
    for (const path of ['typescript', '@biomejs', `onnxruntime-node/bin/napi-v6/linux/${other}`]) {
      assert.ok(!existsSync(installed('node_modules', path)), path);
    }
    assert.ok(!existsSync(installed('node_modules/onnxruntime-node/bin/napi-v6/win32')));
    assert.ok(!existsSync(installed('test')));
  });

  test('nobody but root may change the program', () => {
    for (const [path, what] of Object.entries(contents(installed()))) {
      assert.match(what, /^(->|[4-7][45][45] )/, `${path} is ${what}`);
    }
  });

  test('the command on the PATH points to it, and the unit starts it', () => {
    assert.equal(readlinkSync(join(dest, 'usr/local/bin/lookout')), '/opt/lookout/bin/lookout');
    const unit = readFileSync(join(dest, 'etc/systemd/system/lookout.service'), 'utf8');
    assert.match(unit, /^ExecStart=\/opt\/lookout\/bin\/lookout run /m);
  });

  test('installing again changes nothing, and an edited configuration stays', async () => {
    appendFileSync(config(dest), '# mine\n');
    const before = contents(dest);
    const { stdout } = await installFrom(installed(), []);
    assert.match(stdout, /kept unchanged/);
    assert.deepEqual(contents(dest), before);
  });

  test('a command of the same name that is not ours is left alone', async () => {
    const command = join(dest, 'usr/local/bin/lookout');
    rmSync(command);
    symlinkSync('/usr/bin/somebody-elses', command);
    await assert.rejects(install(), /does not belong to Lookout/);
    assert.equal(readlinkSync(command), '/usr/bin/somebody-elses');
    rmSync(command);
    symlinkSync('/opt/lookout/bin/lookout', command);
  });

  test('a folder that is not ours is left alone, by install and by uninstall', async () => {
    mkdirSync(join(dest, 'srv/photos'), { recursive: true });
    writeFileSync(join(dest, 'srv/photos/holiday.jpg'), 'x');
    await assert.rejects(install('--prefix', '/srv/photos'), /does not belong to Lookout/);
    await assert.rejects(install('--uninstall', '--prefix', '/srv/photos'), /does not belong to Lookout/);
    assert.ok(existsSync(join(dest, 'srv/photos/holiday.jpg')));
    rmSync(join(dest, 'srv'), { recursive: true });
  });

  test('uninstalling keeps configuration and data, purging leaves nothing', async () => {
    const own = tempFolder();
    await installFrom(checkout, [], own);
    appendFileSync(config(own), '# mine\n');
    mkdirSync(join(own, 'var/lib/lookout'), { recursive: true });
    writeFileSync(join(own, 'var/lib/lookout/lookout.db'), 'x');
    await installFrom(checkout, ['--uninstall'], own);
    assert.deepEqual(Object.keys(contents(own)).sort(), [
      'etc/lookout/lookout.yaml',
      'var/lib/lookout/lookout.db',
    ]);
    assert.match(readFileSync(config(own), 'utf8'), /# mine/);
    await installFrom(checkout, ['--uninstall', '--purge'], own);
    assert.deepEqual(contents(own), {});
  });

  test('a wrong call changes nothing and says what is wrong', async () => {
    const before = contents(dest);
    await assert.rejects(install('--perge'), /unknown option --perge/);
    await assert.rejects(install('--purge'), /--purge requires --uninstall/);
    await assert.rejects(install('--prefix', 'opt'), /expected an absolute folder/);
    await assert.rejects(install('--prefix', '/opt/a b'), /expected an absolute folder/);
    await assert.rejects(install('--prefix'), /--prefix needs a folder/);
    assert.deepEqual(contents(dest), before);
  });
});

test('every package that the program imports is one that gets installed with it', () => {
  const { dependencies } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const imported = new Set<string>();
  for (const file of readdirSync(join(checkout, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    const text = readFileSync(join(checkout, 'src', file), 'utf8');
    for (const [, path = ''] of text.matchAll(/\b(?:from |import\()'([^.'][^']*)'/g)) {
      imported.add(path.split('/', path.startsWith('@') ? 2 : 1).join('/'));
    }
  }
  assert.ok(imported.has('pino') && imported.has('onnxruntime-node'));
  const strangers = [...imported].filter((name) => !name.startsWith('node:') && !(name in dependencies));
  assert.deepEqual(strangers, []);
});
