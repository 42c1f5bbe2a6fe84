import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { systemClock } from '../../src/runtime/clock.ts';
import { Store } from '../../src/store/store.ts';
import { FakeLog } from '../fakes/log.ts';
import { detection, entry, folder, storeConfig } from '../support/store.ts';
import { until } from '../support/until.ts';

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const HOUR = 3_600_000;

/** A running store with the event of a car two hours ago and an open event of a dog. */
async function running(t: TestContext) {
  const path = folder();
  const store = new Store({
    file: join(path, 'lookout.db'),
    snapshots: join(path, 'snapshots'),
    config: storeConfig({ commit_interval: 0.1 }),
    clock: systemClock,
    log: new FakeLog().logger,
  });
  t.after(() => store.stop());
  await store.start();
  const record = async (...args: Parameters<typeof entry>) => {
    const { change, messages } = entry(...args);
    assert.ok(await store.recordEvent(change, messages));
  };
  const startedAt = Date.now() - 2 * HOUR;
  await record({ id: 'car-1', label: 'car', startedAt, endedAt: startedAt + 5000 }, 'end');
  await record({ id: 'dog-1', label: 'dog', camera: 'door', startedAt: Date.now() });
  return { path, store, record };
}

function lookout(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

test('events are listed while the store is running', async (t) => {
  const { path } = await running(t);
  const config = join(path, 'lookout.yaml');
  writeFileSync(config, stringify({ data_dir: '.' }));
  const [all, recent, cars, none] = await Promise.all([
    lookout('events', '--config', config),
    lookout('events', '--data-dir', path, '--since', '1h', '--json'),
    lookout('events', '--data-dir', path, '--label', 'car', '--camera', 'drive', '--json'),
    lookout('events', '--data-dir', path, '--camera', 'cellar'),
  ]);
  assert.deepEqual([all.code, recent.code, cars.code, none.code], [0, 0, 0, 0]);
  assert.match(all.stdout, /^\S+ \S+ {2}drive +car .* 5\.0 s .*\n\S+ \S+ {2}door +dog .* open .*\n$/);
  assert.equal((JSON.parse(recent.stdout) as { id: string }).id, 'dog-1');
  assert.equal((JSON.parse(cars.stdout) as { id: string }).id, 'car-1');
  assert.deepEqual([none.stdout, none.stderr], ['', 'no events\n']);
});

test('--follow prints an event when it starts and when it ends', async (t) => {
  const { path, record } = await running(t);
  const child = spawn(process.execPath, [CLI, 'events', '--data-dir', path, '--follow', '--json', '-n', '1']);
  t.after(() => child.kill());
  const seen: { id: string; ended_at: string | null }[] = [];
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop()!;
    seen.push(...lines.map((line) => JSON.parse(line) as (typeof seen)[number]));
  });
  await until('the newest event', () => seen.length === 1);
  await record({ id: 'cat-1', label: 'cat', startedAt: Date.now() });
  await until('the start', () => seen.length === 2);
  await record({ id: 'cat-1', label: 'cat', startedAt: Date.now() }, 'end');
  await until('the end', () => seen.length === 3);
  assert.deepEqual(
    seen.map(({ id, ended_at }) => [id, ended_at !== null]),
    [
      ['dog-1', false],
      ['cat-1', false],
      ['cat-1', true],
    ],
  );
  // The command ends when its reader closes the pipe.
  child.stdout.destroy();
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await record({ id: 'cat-2', label: 'cat', startedAt: Date.now() });
  assert.equal(await ended, 0);
});

test('the log is exported as CSV and JSON, to a file and to standard output', async (t) => {
  const { path, store } = await running(t);
  store.recordDetections([
    detection({ capturedAt: Date.now() }),
    detection({ capturedAt: Date.now() - 3 * HOUR }),
  ]);
  while ((await store.stats()).detections < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  const out = join(path, 'events.csv');
  const [events, detections] = await Promise.all([
    lookout('export', '--data-dir', path, '--format', 'csv', '--out', out),
    lookout(
      'export',
      '--data-dir',
      path,
      '--format',
      'json',
      '--table',
      'detections',
      '--since',
      '4h',
      '--until',
      '1h',
    ),
  ]);
  assert.deepEqual([events.code, events.stdout, detections.code], [0, '', 0]);
  const lines = readFileSync(out, 'utf8').split('\r\n');
  assert.match(lines[0]!, /^id,camera,zone,label,score,top_score,box_x,/);
  assert.match(lines[1]!, /^car-1,drive,gate,car,/);
  assert.match(lines[2]!, /^dog-1,door,/);
  const rows = JSON.parse(detections.stdout) as { label: string; captured_at: string }[];
  assert.equal(rows.length, 1);
  assert.equal(rows[0]!.label, 'vehicle');
  assert.ok(!Number.isNaN(Date.parse(rows[0]!.captured_at)));
});

test('a command whose output cannot be written ends with OUTPUT_FAILED and exit code 74', async (t) => {
  const { path } = await running(t);
  const arguments_ = ['export', '--data-dir', path, '--format', 'csv'];
  const command = `"${process.execPath}" "${CLI}" "$@" > /dev/full`;
  const printed = spawnSync('sh', ['-c', command, 'sh', ...arguments_], { encoding: 'utf8' });
  const file = await lookout(...arguments_, '--out', '/dev/full');
  for (const { stderr } of [printed, file]) {
    assert.match(stderr, /^OUTPUT_FAILED: .*ENOSPC: no space left on device/);
    assert.doesNotMatch(stderr, /^ {4}at /m, 'no stack');
  }
  assert.deepEqual([printed.status, file.code], [74, 74]);
});

test('each kind of error has its own message and exit code', async () => {
  const path = folder();
  const [missing, when, format, unwritable] = await Promise.all([
    lookout('events', '--data-dir', path),
    lookout('events', '--data-dir', path, '--since', 'yesterday'),
    lookout('export', '--data-dir', path, '--format', 'xml'),
    lookout('export', '--data-dir', path),
  ]);
  assert.deepEqual([missing.code, when.code, format.code, unwritable.code], [78, 64, 64, 64]);
  assert.match(missing.stderr, /^STORE_MISSING: database .*lookout\.db: file not found\n/);
  assert.match(when.stderr, /^USAGE: --since: expected a time ago/);
  assert.match(format.stderr, /csv, json/);
});
