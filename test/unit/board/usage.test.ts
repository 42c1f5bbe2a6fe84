import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readUsage } from '../../../src/board/usage.ts';
import { tempFolder } from '../../support/folder.ts';

/** A /proc with the given processes: [pid, parent, utime + stime, cutime + cstime, name]. */
function plantProc(processes: [number, number, number, number, string][]): string {
  const proc = tempFolder();
  for (const [pid, parent, own, waited, name] of processes) {
    mkdirSync(join(proc, String(pid)));
    const fields = `S ${parent} 1 1 0 -1 4194560 9 9 9 9 ${own} 0 ${waited} 0 20 0 11 0 5000`;
    writeFileSync(join(proc, String(pid), 'stat'), `${pid} (${name}) ${fields}\n`);
  }
  mkdirSync(join(proc, 'self'));
  writeFileSync(join(proc, 'self', 'io'), 'rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 40960\n');
  return proc;
}

test('the children of the process and theirs are summed up, strangers are not', async () => {
  const proc = plantProc([
    [10, 1, 500, 7, 'node'],
    [11, 10, 100, 0, 'ffmpeg'],
    [12, 10, 20, 3, 'odd) name (x'],
    [13, 12, 50, 0, 'rpicam-vid'],
    [14, 1, 9999, 9999, 'stranger'],
  ]);
  const usage = await readUsage(proc, 10);
  assert.equal(usage.childrenCpuMs, (7 + 100 + 20 + 3 + 50) * 10);
  assert.equal(usage.bytesWritten, 40960);
  rmSync(proc, { recursive: true });
});

test('unreadable values are null', async () => {
  const usage = await readUsage('/nonexistent');
  assert.equal(usage.childrenCpuMs, null);
  assert.equal(usage.bytesWritten, null);
  assert.equal(usage.rss, null);
  assert.ok((await readUsage()).rss! > 1e6);
  assert.ok(usage.cpuMs > 0);
});

test('a real child that works is counted while it runs and after its end', async () => {
  const before = await readUsage();
  const busy =
    'const end = process.cpuUsage().user + 150_000; while (process.cpuUsage().user < end); console.log()';
  const child = spawn(process.execPath, ['-e', `${busy}; process.stdin.resume()`], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const closed = once(child, 'close');
  await once(child.stdout, 'data');
  const during = await readUsage();
  child.stdin.end();
  await closed;
  const after = await readUsage();
  const spent = (usage: typeof before) => (usage.childrenCpuMs ?? 0) - (before.childrenCpuMs ?? 0);
  assert.ok(spent(during) >= 100, `${spent(during)} ms while running`);
  assert.ok(spent(after) >= spent(during), `${spent(after)} ms after the end`);
});
