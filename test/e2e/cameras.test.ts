import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { fakeEnv, isRunning } from '../support/programs.ts';
import { Recorder } from '../support/recorder.ts';
import { until } from '../support/until.ts';

/** A daemon with a camera whose program misbehaves, and one that is well. */
async function start(t: TestContext, behaviour: string) {
  const folder = tempFolder();
  const pids = join(folder, 'pids');
  writeFileSync(pids, '');
  const daemon = new DaemonProcess(
    {
      device: 'dut',
      cameras: {
        ill: { source: { kind: 'libcamera', width: 160, height: 120, fps: 20 }, stall: 1 },
        well: { source: { kind: 'demo', width: 320, height: 240, fps: 10 } },
      },
      mqtt: { embedded_port: 0 },
      health_interval: 1,
    },
    folder,
    { ...fakeEnv(behaviour), FAKE_CAMERA_PIDS: pids },
  );
  t.after(() => daemon.child.kill('SIGKILL'));
  const { msg } = await daemon.line((line) => line.msg.startsWith('MQTT '));
  const recorder = await Recorder.connect(/mqtt:\/\/[\d.:]+/.exec(msg)?.[0] ?? '');
  t.after(() => recorder.end());
  await recorder.sees('lookout/dut/well/status', 'online');
  const children = () => readFileSync(pids, 'utf8').split('\n').filter(Boolean).map(Number);
  /** Pictures of the well camera so far, as health tells them. */
  const pictures = () => {
    const health = JSON.parse(recorder.last('lookout/dut/health') ?? '{}') as {
      cameras?: { well: { captured: number } };
    };
    return health.cameras?.well.captured ?? 0;
  };
  return { daemon, recorder, children, pictures };
}

async function stopsCleanly(daemon: DaemonProcess, children: () => number[]) {
  const { code } = await daemon.stop();
  assert.equal(code, 0);
  const running = await Promise.all(children().map(isRunning));
  assert.ok(!running.includes(true), 'no camera program is left');
}

test('a camera program that dies is started again, and the other camera goes on', async (t) => {
  const { daemon, recorder, children, pictures } = await start(t, 'frames=10,tail');
  await until('three starts', () => children().length >= 3);
  const before = pictures();
  await until('more pictures of the other camera', () => pictures() > before + 10);
  const states = recorder.texts('lookout/dut/ill/status');
  assert.ok(states.includes('online') && states.includes('offline'), states.join());
  assert.ok(!recorder.texts('lookout/dut/well/status').includes('stalled'));
  await stopsCleanly(daemon, children);
});

test('a camera program that falls silent is called stalled and replaced', async (t) => {
  const { daemon, recorder, children } = await start(t, 'stall=5');
  await recorder.sees('lookout/dut/ill/status', 'stalled');
  await until('a second start', () => children().length >= 2);
  assert.equal(recorder.last('lookout/dut/well/status'), 'online');
  await stopsCleanly(daemon, children);
});

test('a camera program that floods stderr is heard at most once a second', async (t) => {
  const { daemon, children, pictures } = await start(t, 'flood');
  const [from, lines] = [performance.now(), daemon.log.length];
  const before = pictures();
  await until('two seconds of pictures', () => pictures() > before + 20);
  const seconds = (performance.now() - from) / 1000;
  const heard = daemon.log.slice(lines).filter(({ camera }) => camera === 'ill').length;
  assert.ok(heard <= seconds + 2, `${heard} lines in ${seconds} s`);
  await stopsCleanly(daemon, children);
});

test('a camera program that ignores SIGTERM does not outlive the daemon', async (t) => {
  const { daemon, recorder, children } = await start(t, 'deaf');
  await recorder.sees('lookout/dut/ill/status', 'online');
  await stopsCleanly(daemon, children);
});

test('a machine without any camera program says what is missing and runs its other camera', async (t) => {
  const folder = tempFolder();
  const daemon = new DaemonProcess(
    {
      cameras: {
        pi: { source: { kind: 'libcamera' } },
        well: { source: { kind: 'demo', fps: 10 } },
      },
      mqtt: { embedded_port: 0 },
    },
    folder,
    { PATH: '/nowhere' },
  );
  t.after(() => daemon.child.kill('SIGKILL'));
  const line = await daemon.line((entry) => entry.camera === 'pi' && entry.level === 'warn');
  assert.match(JSON.stringify(line), /CAPTURE_PROGRAM_MISSING.*rpicam-apps/);
  await daemon.line((entry) => entry.camera === 'well' && entry.msg.includes('online'));
  assert.equal((await daemon.stop()).code, 0);
});
