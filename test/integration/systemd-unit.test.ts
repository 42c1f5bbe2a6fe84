import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { tempFolder } from '../support/folder.ts';
import { requires } from '../support/requires.ts';

const run = promisify(execFile);
const unitFile = resolve(import.meta.dirname, '../../systemd/lookout.service');
const unit = readFileSync(unitFile, 'utf8');

/** Values of a setting of the unit, in order. */
function values(setting: string): string[] {
  return [...unit.matchAll(new RegExp(`^${setting}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

/** `systemd-analyze security` can read a file since systemd 250. */
function skipAnalysis(): string | false {
  const missing = requires('systemd-analyze');
  if (missing !== false) return missing;
  const version = Number(
    /systemd (\d+)/.exec(execFileSync('systemd-analyze', ['--version'], { encoding: 'utf8' }))?.[1],
  );
  return version < 250 ? `needs systemd 250, found ${version}` : false;
}

describe('systemd/lookout.service as systemd sees it', { skip: skipAnalysis() }, () => {
  let folder: string;
  let file: string;
  before(() => {
    folder = tempFolder();
    file = join(folder, 'lookout.service');
    writeFileSync(file, unit.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'));
  });

  test('every line is understood', async () => {
    const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', file]);
    assert.equal(stdout + stderr, '');
  });

  test('its exposure is at most 2.0 of 10', async () => {
    await run('systemd-analyze', ['security', '--offline=true', '--threshold=20', '--no-pager', file]);
  });
});

test('cameras stay reachable', () => {
  const devices = values('DeviceAllow');
  for (const device of ['char-video4linux rw', 'char-media rw', 'char-dma_heap rw']) {
    assert.ok(devices.includes(device), device);
  }
  assert.deepEqual(values('PrivateDevices'), []);
  assert.match(readFileSync(resolve(unitFile, '../lookout.sysusers'), 'utf8'), /^m lookout video$/m);
});

test('what JIT-compiled code, the messenger and inference need is not taken away', () => {
  assert.deepEqual(values('MemoryDenyWriteExecute'), []);
  assert.deepEqual(values('ProcSubset'), []);
  assert.deepEqual(values('NotifyAccess'), ['all']);
  assert.deepEqual(values('Type'), ['notify']);
});

test('it is started again whatever happens, except after mistakes that only a person can correct', () => {
  assert.deepEqual(values('Restart'), ['always']);
  assert.deepEqual(values('RestartPreventExitStatus'), ['64 78']);
  assert.deepEqual(values('StartLimitIntervalSec'), ['0']);
});

test('what is needed for a moment only is kept off the SD card, and the log within bounds', () => {
  assert.ok(values('Environment').includes('TMPDIR=%t/lookout'));
  assert.deepEqual(values('RuntimeDirectory'), ['lookout']);
  assert.deepEqual(values('LogRateLimitIntervalSec'), ['30s']);
  assert.deepEqual(values('LogRateLimitBurst'), ['500']);
});

test('a credential that is loaded has a stand-in, so that the service starts without it', () => {
  const names = (setting: string) => values(setting).map((value) => value.split(':')[0]);
  assert.deepEqual(names('LoadCredential'), ['mqtt-password']);
  assert.deepEqual(names('SetCredential'), names('LoadCredential'));
});
