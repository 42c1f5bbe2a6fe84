import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { startBroker } from '../support/broker.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { busyCamera, eventMessages, readEvents } from '../support/log.ts';
import { Recorder } from '../support/recorder.ts';
import { requires } from '../support/requires.ts';
import { until } from '../support/until.ts';

const cli = new URL('../../src/cli.ts', import.meta.url).pathname;

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} with an open event ends, commits and publishes it, and exits with 0 in under 2 s`, async () => {
    const broker = await startBroker();
    const recorder = await Recorder.connect(broker.url);
    const folder = tempFolder();
    const { camera, labels } = busyCamera(3600, ['person']);
    const daemon = new DaemonProcess(
      { device: 'dut', cameras: { door: camera }, labels, mqtt: { ...broker.mqtt } },
      folder,
    );
    try {
      await daemon.line(({ event }) => event?.type === 'start');
      const exit = await daemon.stop(signal);
      assert.deepEqual([exit.code, exit.signal], [0, null], daemon.stderr.join('\n'));
      assert.ok(exit.after < 2000, `took ${exit.after} ms`);

      const [event, ...more] = readEvents(join(folder, 'data', 'lookout.db'));
      assert.deepEqual(more, []);
      assert.ok(event?.ended_at && event.ended_at >= event.started_at);
      await recorder.sees('lookout/dut/status', 'offline');
      const messages = eventMessages(recorder, 'dut', 'door').filter(({ type }) => type !== 'update');
      assert.deepEqual(
        messages.map(({ id, type }) => [id, type]),
        [
          [event.id, 'start'],
          [event.id, 'end'],
        ],
      );
      assert.equal(recorder.last('lookout/dut/door/person'), 'OFF');
      assert.equal(recorder.last('lookout/dut/door/status'), 'offline');
    } finally {
      daemon.child.kill('SIGKILL');
      await recorder.end();
      await broker.remove();
    }
  });
}

test('SIGTERM ends in under 2 s also when the broker is not there, and the next run delivers what was left', async () => {
  const broker = await startBroker();
  await broker.stop();
  const folder = tempFolder();
  const { camera, labels } = busyCamera(3600, ['person']);
  const settings = { device: 'dut', cameras: { door: camera }, labels, mqtt: { ...broker.mqtt } };
  const first = new DaemonProcess(settings, folder);
  await first.line(({ event }) => event?.type === 'start');
  const exit = await first.stop();
  assert.equal(exit.code, 0);
  assert.ok(exit.after < 2000, `took ${exit.after} ms`);

  await broker.start();
  const recorder = await Recorder.connect(broker.url);
  const second = new DaemonProcess({ ...settings, cameras: { door: { ...camera, detect: false } } }, folder);
  try {
    await recorder.sees('lookout/dut/status', 'online');
    const [event] = readEvents(join(folder, 'data', 'lookout.db'));
    const told = () => eventMessages(recorder, 'dut', 'door').filter(({ id }) => id === event?.id);
    await until('the end of the event', () => told().some(({ type }) => type === 'end'));
    assert.ok(told().every(({ replayed }) => replayed));
    assert.equal(told()[0]?.type, 'start');
  } finally {
    await second.stop();
    await recorder.end();
    await broker.remove();
  }
});

test('SIGTERM ends in under 2 s also when the disk is full', async (t) => {
  const folder = tempFolder();
  const data = join(folder, 'data');
  mkdirSync(data);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', data]).status !== 0) {
    t.skip('needs the right to mount a small file system');
    return;
  }
  const { camera, labels } = busyCamera(3600, ['person']);
  const daemon = new DaemonProcess({ cameras: { door: camera }, labels, mqtt: { enabled: false } }, folder);
  try {
    await daemon.line(({ msg }) => msg.startsWith('database'));
    assert.throws(() => writeFileSync(join(data, 'filler'), Buffer.alloc(4_000_000)), { code: 'ENOSPC' });
    await daemon.line(({ msg }) => msg.startsWith('cannot write the database'));
    const exit = await daemon.stop();
    assert.deepEqual([exit.code, exit.signal], [0, null], daemon.stderr.join('\n'));
    assert.ok(exit.after < 2000, `took ${exit.after} ms`);
    await daemon.line(({ msg }) => msg.includes('stopped before everything could be written'));
  } finally {
    daemon.child.kill('SIGKILL');
    await daemon.exited;
    spawnSync('umount', [data]);
  }
});

test('closing the terminal that it runs in ends it like SIGTERM', { skip: requires('script') }, async () => {
  const folder = tempFolder();
  const file = join(folder, 'lookout.yaml');
  const { camera, labels } = busyCamera(3600, ['person']);
  writeFileSync(file, stringify({ cameras: { door: camera }, labels, mqtt: { enabled: false } }));
  const terminal = spawn(
    'script',
    ['-qec', `echo $$; exec '${process.execPath}' '${cli}' run -c '${file}'`, '/dev/null'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let text = '';
  terminal.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const daemon = () => Number(/^\d+/.exec(text)?.[0]);
  try {
    await until('an event', () => text.includes('person seen'), 30_000);
    terminal.kill('SIGKILL');
    await until('its end', () => !existsSync(`/proc/${daemon()}`));
    assert.ok(readEvents(join(folder, 'data', 'lookout.db'))[0]?.ended_at);
  } finally {
    terminal.kill('SIGKILL');
    if (existsSync(`/proc/${daemon()}`)) process.kill(daemon(), 'SIGKILL');
  }
});
