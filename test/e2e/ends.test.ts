import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';

/** A daemon on which no camera program is installed. */
function bareDaemon(t: TestContext, cameras: object, folder = tempFolder()): DaemonProcess {
  const daemon = new DaemonProcess({ cameras, mqtt: { embedded_port: 0 } }, folder, { PATH: '/nowhere' });
  t.after(() => daemon.child.kill('SIGKILL'));
  return daemon;
}

const replay = (path: string, loop: boolean) => ({ source: { kind: 'replay', path, loop } });

test('a run that can only play what is not there ends with exit code 78, and says why', async (t) => {
  const folder = tempFolder();
  mkdirSync(join(folder, 'empty'));
  writeFileSync(join(folder, 'clip.mp4'), '');
  for (const [path, code] of [
    ['gone', 'CAPTURE_FILE'],
    ['empty', 'CAPTURE_FILE'],
    ['clip.mp4', 'CAPTURE_PROGRAM_MISSING'],
  ] as const) {
    const daemon = bareDaemon(t, { yard: replay(path, false) }, folder);
    assert.equal((await daemon.exited).code, 78, path);
    assert.equal(daemon.log.filter((line) => line.code === code).length, 1, path);
    const last = daemon.log.findLast(({ msg }) => msg.startsWith('stopping'));
    assert.equal(last?.msg, `stopping: no camera has anything to play; yard: ${code}`);
  }
});

test('a daemon goes on where a replay would play again, or another camera gives pictures', async (t) => {
  for (const cameras of [
    { yard: replay('gone', true) },
    { yard: replay('gone', false), demo: { source: { kind: 'demo' } } },
  ]) {
    const daemon = bareDaemon(t, cameras);
    await daemon.line(({ code }) => code === 'CAPTURE_FILE');
    // What would end it has been told by then.
    if ('demo' in cameras) await daemon.line(({ msg }) => msg === 'camera is online');
    const { code } = await daemon.stop();
    assert.equal(code, 0);
    assert.ok(daemon.log.some(({ msg }) => msg === 'stopping: SIGTERM'));
  }
});
