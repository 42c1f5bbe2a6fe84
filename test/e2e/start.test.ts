import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { openForWriting } from '../../src/store/database.ts';
import { Reader } from '../../src/store/log-reader.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { busyCamera } from '../support/log.ts';
import { requires } from '../support/requires.ts';
import { until } from '../support/until.ts';

const [launcher, cli] = ['../../scripts/node', '../../src/cli.ts'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);
const { camera, labels } = busyCamera(3600, ['person']);
const settings = { cameras: { door: camera }, labels, mqtt: { enabled: false } };

/** A database that another program has locked for writing. */
function lockedDatabase(folder: string) {
  const db = openForWriting(join(folder, 'data', 'lookout.db'));
  db.exec('BEGIN IMMEDIATE');
  return db;
}

test('a start waits for a database that another program has locked', async () => {
  const folder = tempFolder();
  const other = lockedDatabase(folder);
  const daemon = new DaemonProcess(settings, folder);
  try {
    const { msg } = await daemon.line(({ code }) => code === 'STORE_BUSY');
    assert.match(msg, /lookout\.db: another program has locked it; waiting for up to 60 s/);
    other.exec('ROLLBACK');
    await daemon.line(({ event }) => event?.type === 'start');
    assert.equal(daemon.log.filter(({ code }) => code === 'STORE_BUSY').length, 1);
    assert.equal((await daemon.stop()).code, 0);
  } finally {
    daemon.child.kill('SIGKILL');
    other.close();
  }
});

test('SIGTERM ends a start that waits for the database', async () => {
  const folder = tempFolder();
  const other = lockedDatabase(folder);
  const daemon = new DaemonProcess(settings, folder);
  try {
    await daemon.line(({ code }) => code === 'STORE_BUSY');
    const exit = await daemon.stop();
    assert.deepEqual([exit.code, exit.signal, daemon.stderr], [0, null, []]);
    assert.ok(exit.after < 4000, `took ${exit.after} ms`);
  } finally {
    daemon.child.kill('SIGKILL');
    other.close();
  }
});

test('in a folder that no longer exists absolute paths work, and relative ones are refused with the reason', async () => {
  const folder = tempFolder();
  const file = join(folder, 'lookout.yaml');
  writeFileSync(file, stringify({ ...settings, data_dir: join(folder, 'data') }));
  const gone = join(folder, 'gone');
  const from = (...args: string[]) => {
    mkdirSync(gone);
    const script = `cd '${gone}' && rmdir '${gone}' && exec "$@"`;
    return ['-c', script, 'sh', process.execPath, cli!, ...args];
  };
  const daemon = spawn('sh', from('run', '--config', file), { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    let log = '';
    daemon.stdout.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
    await until('an event', () => log.includes('"type":"start"'));
    daemon.kill();
    assert.deepEqual(await once(daemon, 'close'), [0, null]);
  } finally {
    daemon.kill('SIGKILL');
  }
  for (const args of [['check-config', 'lookout.yaml'], ['run'], ['events', '--data-dir', 'data']]) {
    const { status, stderr } = spawnSync('sh', from(...args), { encoding: 'utf8' });
    assert.equal(status, 64, stderr);
    assert.match(stderr, /USAGE: the current folder no longer exists/);
  }
});

test('without /proc it runs, and says that memory is unknown', {
  skip:
    requires('umount') ||
    (spawnSync('unshare', ['--mount', 'true']).status !== 0 && 'needs the right to make a mount namespace'),
}, async () => {
  const folder = tempFolder();
  const file = join(folder, 'lookout.yaml');
  writeFileSync(file, stringify({ ...settings, health_interval: 1, store: { commit_interval: 0.1 } }));
  const script = 'umount -l /proc && exec "$@"';
  const daemon = spawn(
    'unshare',
    ['--mount', 'sh', '-c', script, 'sh', process.execPath, cli!, 'run', '--config', file],
    { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const samples = () => {
    try {
      const reader = new Reader(join(folder, 'data', 'lookout.db'));
      const found = [...reader.rows('samples', 0, Number.MAX_SAFE_INTEGER)];
      reader.close();
      return found;
    } catch {
      return [];
    }
  };
  try {
    await until('a sample', () => samples().length > 0);
    daemon.kill();
    assert.deepEqual(await once(daemon, 'close'), [0, null]);
    assert.ok(samples().every(({ rss_mb }) => rss_mb === null));
  } finally {
    daemon.kill('SIGKILL');
  }
});

const namespaces = spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0;

test('SIGTERM ends it while it starts as the first process of a container', {
  skip: !namespaces && 'needs the right to make a PID namespace',
}, async () => {
  const folder = tempFolder();
  const file = join(folder, 'lookout.yaml');
  writeFileSync(file, stringify(settings));
  for (const ms of [0, 50, 200, 500, 1000]) {
    const namespace = spawn(
      'unshare',
      ['--pid', '--fork', '--mount-proc', '--kill-child', launcher!, cli!, 'run', '--config', file],
      { cwd: folder, stdio: 'ignore' },
    );
    try {
      await until('a handler of SIGTERM', () => handlesSigterm(firstProcess(namespace)));
      await wait(ms);
      process.kill(firstProcess(namespace)!, 'SIGTERM');
      await once(namespace, 'close', { signal: AbortSignal.timeout(8000) });
    } finally {
      namespace.kill('SIGKILL');
    }
  }
});

/** The process that `unshare` started, as it is called outside of its namespace. */
function firstProcess({ pid }: ChildProcess): number | null {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? null : Number(children.split(' ')[0]);
}

/** Whether the program that a process was to become handles SIGTERM. */
function handlesSigterm(pid: number | null): boolean {
  if (pid === null || /unshare/.test(readlinkSync(`/proc/${pid}/exe`))) return false;
  const caught = /^SigCgt:\t(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${caught}`) & (1n << BigInt(constants.signals.SIGTERM - 1))) !== 0n;
}
