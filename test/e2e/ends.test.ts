import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { lookout } from '../support/cli.ts';
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

test('a daemon continues where a replay would play again, or another camera delivers frames', async (t) => {
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

test('check-config refuses what cannot be played, and warns of programs with the package that brings them', async () => {
  const folder = tempFolder();
  mkdirSync(join(folder, 'empty'));
  writeFileSync(join(folder, 'clip.mp4'), '');
  const file = join(folder, 'lookout.yaml');
  const check = async (cameras: object) => {
    writeFileSync(file, stringify({ cameras }));
    return lookout(['check-config', file], { env: { PATH: '/nowhere' } });
  };
  const warned = await check({
    usb: { source: { kind: 'v4l2' } },
    pi: { source: { kind: 'libcamera', mode: 'still' } },
    jetson: { source: { kind: 'gstreamer' } },
    clip: replay('clip.mp4', false),
    off: { ...replay('gone', false), enabled: false },
  });
  assert.equal(warned.code, 0, warned.stderr);
  for (const [camera, program, advice] of [
    ['usb', 'ffmpeg', 'ffmpeg'],
    ['pi', 'rpicam-still or libcamera-still', 'rpicam-apps'],
    ['jetson', 'gst-launch-1.0', 'gstreamer1.0-tools'],
    ['clip', 'ffmpeg', 'ffmpeg'],
  ]) {
    const line = `^warning: camera ${camera}: ${program} not found on the PATH.*: sudo apt install ${advice}`;
    assert.match(warned.stderr, new RegExp(line, 'm'));
  }
  const refused = await check({ yard: replay('gone', false), door: replay('empty', true) });
  assert.equal(refused.code, 78);
  assert.match(refused.stderr, /^CAPTURE_FILE: camera yard: replay path .*gone cannot be read: ENOENT/m);
  assert.match(refused.stderr, /^CAPTURE_FILE: camera door: replay path .*empty is an empty folder$/m);
  assert.equal(refused.stdout, '');
});
