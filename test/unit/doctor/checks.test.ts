import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import type { Check, Finding } from '../../../src/doctor/check.ts';
import { inspectBoard } from '../../../src/doctor/check-board.ts';
import { checkCameras } from '../../../src/doctor/check-cameras.ts';
import { checkDatabase } from '../../../src/doctor/check-database.ts';
import { checkDisk } from '../../../src/doctor/check-disk.ts';
import { checkFiles } from '../../../src/doctor/check-files.ts';
import { checkTime } from '../../../src/doctor/check-time.ts';
import { report } from '../../../src/doctor/report.ts';
import { runChecks } from '../../../src/doctor/run-checks.ts';
import { openForWriting } from '../../../src/store/database.ts';
import { lockForWriting } from '../../../src/store/lock.ts';
import { tempFolder } from '../../support/daemon.ts';
import { fakeEnv } from '../../support/programs.ts';

interface Setup {
  config?: object;
  env?: NodeJS.ProcessEnv;
  root?: string;
  folder?: string;
}

/** The findings of one check with a configuration. */
async function run(check: Check, { config = {}, env = {}, root, folder = tempFolder() }: Setup = {}) {
  const file = join(folder, 'lookout.yaml');
  writeFileSync(file, stringify({ data_dir: '.', ...config }));
  const place = root === undefined ? {} : { root };
  const { findings } = await runChecks({ file, env, checks: [['it', check]], ...place });
  return findings.slice(1);
}

const textOf = (findings: readonly Finding[]) =>
  findings.map(({ verdict, found }) => `${verdict} ${found}`).join('\n');

/** A folder that stands for `/`, with these files. */
function system(files: Record<string, string>): string {
  const root = tempFolder();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

/** The findings on a Raspberry Pi whose firmware reports these flags. */
function pi(flags: string, milliCelsius: number) {
  const root = system({
    'proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.4\0',
    'sys/devices/platform/soc/soc:firmware/get_throttled': `${flags}\n`,
    'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
    'sys/class/thermal/thermal_zone0/temp': `${milliCelsius}\n`,
  });
  return inspectBoard({ root });
}

test('low voltage fails now and warns if it was earlier; the temperature decides between ok, warn and fail', async () => {
  for (const [flags, celsius, expected] of [
    ['0', 45_000, 'ok ok ok'],
    ['50005', 45_000, 'ok fail warn'],
    ['10000', 45_000, 'ok warn ok'],
    ['0', 72_000, 'ok ok warn'],
    ['0', 84_000, 'ok ok fail'],
    ['80008', 78_000, 'ok ok warn'],
  ] as const) {
    const findings = await pi(flags, celsius);
    assert.equal(findings.map(({ verdict }) => verdict).join(' '), expected, `${flags}: ${textOf(findings)}`);
    for (const { verdict, advice } of findings) assert.equal(advice === null, verdict === 'ok');
  }
});

test('a camera whose program is missing fails, with the package to install', async () => {
  const config = {
    cameras: { door: { source: { kind: 'libcamera' } }, off: { enabled: false, source: { kind: 'auto' } } },
  };
  const [missing, off] = await run(checkCameras, { config, env: { PATH: '/nowhere' } });
  assert.equal(missing?.verdict, 'fail');
  assert.match(
    missing?.found ?? '',
    /rpicam-vid or libcamera-vid not found on the PATH.*CAPTURE_PROGRAM_MISSING/,
  );
  assert.match(missing?.advice ?? '', /apt install/);
  assert.equal(off?.verdict, 'ok');
});

test('a camera that its program lists is ok, one that it does not list fails', async () => {
  const config = { cameras: { door: { source: { kind: 'libcamera' } } } };
  const there = await run(checkCameras, { config, env: fakeEnv() });
  assert.match(textOf(there), /^ok .*rpicam-vid is installed; libcamera camera 0/);
  const folder = tempFolder();
  writeFileSync(join(folder, 'rpicam-vid'), '#!/bin/sh\necho No cameras available!\n', { mode: 0o755 });
  const gone = await run(checkCameras, { config, env: { PATH: folder } });
  assert.match(textOf(gone), /^fail .*--list-cameras/);
});

test('an unreachable stream and a missing replay fail, without showing the password', async () => {
  const config = {
    cameras: {
      street: { source: { kind: 'rtsp', url: 'rtsp://me:hunter2@127.0.0.1:1/live' } },
      old: { source: { kind: 'replay', path: 'gone' } },
    },
  };
  const programs = tempFolder();
  writeFileSync(join(programs, 'ffmpeg'), '', { mode: 0o755 });
  const [street, old] = await run(checkCameras, { config, env: { PATH: programs } });
  assert.match(street?.found ?? '', /cannot connect to rtsp:\/\/127\.0\.0\.1:1\/…: .*ECONNREFUSED/);
  assert.match(old?.found ?? '', /CAPTURE_FILE/);
  assert.doesNotMatch(JSON.stringify([street, old]), /hunter2/);
});

test('an HTTP camera without ffmpeg causes a warning, because single images still work', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const config = { cameras: { door: { source: { kind: 'http', url } } } };
  const [door] = await run(checkCameras, { config, env: { PATH: '/nowhere' } });
  assert.equal(door?.verdict, 'warn');
  assert.match(door?.found ?? '', /answers; without ffmpeg only single images work, no streams$/);
  assert.match(door?.advice ?? '', /sudo apt install ffmpeg/);
});

test('a secret that every user can read causes a warning', async () => {
  const folder = tempFolder();
  const password = join(folder, 'password');
  writeFileSync(password, 'x');
  const config = { mqtt: { url: 'mqtt://localhost', username: 'me', password_file: 'password' } };
  for (const [mode, verdict] of [
    [0o644, 'warn'],
    [0o640, 'ok'],
  ] as const) {
    chmodSync(password, mode);
    const [permissions, secret] = await run(checkFiles, { config, folder });
    assert.equal(permissions?.verdict, 'ok');
    assert.equal(secret?.verdict, verdict);
  }
});

test('a data folder that cannot be created is a failure with its reason', async () => {
  const folder = tempFolder();
  writeFileSync(join(folder, 'file'), '');
  const findings = await run(checkFiles, { config: { data_dir: 'file/data' }, folder });
  assert.match(textOf(findings), /^fail database: .*file/);
});

test('the disk is measured, and a folder in memory causes a warning', async () => {
  const folder = tempFolder();
  const root = system({ 'proc/mounts': `/dev/root / ext4 rw 0 0\ntmpfs ${folder} tmpfs rw 0 0\n` });
  const findings = await run(checkDisk, { folder, root });
  assert.match(textOf(findings), /MB free/);
  assert.match(textOf(findings), /warn .* is in memory: every reboot deletes the data/);
  assert.match(textOf(findings), /a synced write takes [\d.]+ ms/);
  const onDisk = await run(checkDisk, {
    folder,
    root: system({ 'proc/mounts': '/dev/root / ext4 rw 0 0\n' }),
  });
  assert.doesNotMatch(textOf(onDisk), /in memory/);
});

test('an intact database is ok; a damaged or too new one fails', async () => {
  const folder = tempFolder();
  const file = join(folder, 'lookout.db');
  assert.match(textOf(await run(checkDatabase, { folder })), /^ok .*does not exist yet/);
  const db = openForWriting(file);
  assert.match(textOf(await run(checkDatabase, { folder })), /^ok .*is intact: 0 events$/);
  const unlock = await lockForWriting(file);
  assert.match(textOf(await run(checkDatabase, { folder })), /in use by a daemon$/);
  unlock();
  db.pragma('user_version = 1000');
  db.close();
  assert.match(textOf(await run(checkDatabase, { folder })), /^fail .*STORE_TOO_NEW/);
  writeFileSync(file, 'no database'.repeat(1000));
  assert.match(textOf(await run(checkDatabase, { folder })), /^fail .*STORE_CORRUPT/);
});

test('the programs that set the clock report whether a time server has set it', async () => {
  for (const [answer, expected] of [
    ['echo NTP=yes; echo NTPSynchronized=yes', /^ok .*set by a time server$/],
    ['echo NTP=yes; echo NTPSynchronized=no', /^warn .*no time server has set the clock$/],
    ['echo NTP=no; echo NTPSynchronized=no', /^warn .*no program on this machine reports/],
    ['exit 1', /^warn .*no program on this machine reports/],
  ] as const) {
    const folder = tempFolder();
    writeFileSync(join(folder, 'timedatectl'), `#!/bin/sh\n${answer}\n`, { mode: 0o755 });
    symlinkSync('/bin/sh', join(folder, 'sh'));
    const root = tempFolder();
    assert.match(textOf(await run(checkTime, { env: { PATH: folder }, root })), expected, answer);
  }
});

test('an invalid configuration is the first failure, and the board is still checked', async () => {
  const file = join(tempFolder(), 'lookout.yaml');
  writeFileSync(file, 'mqtt: { url: 7 }\n');
  const { findings, loaded } = await runChecks({ file, env: {} });
  assert.equal(loaded, null);
  assert.match(findings[0]?.found ?? '', /mqtt\.url.*\(CONFIG_INVALID\)/s);
  assert.ok(findings.some(({ check }) => check === 'power'));
});

test('a check that throws is reported as a failure, and the other checks still run', async () => {
  const { findings } = await runChecks({
    env: {},
    checks: [
      ['first', () => Promise.reject(new Error('no such luck'))],
      ['second', async () => [{ check: 'second', verdict: 'ok', found: 'fine', advice: null }]],
    ],
  });
  assert.match(report(findings), /^fail {2}first +no such luck$/m);
  assert.match(report(findings), /^ok {4}second +fine$/m);
  assert.match(report(findings), /Something does not work/);
});
