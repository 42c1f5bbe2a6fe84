import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startBroker } from '../support/broker.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { busyCamera, eventMessages, readEvents } from '../support/log.ts';
import { Recorder } from '../support/recorder.ts';
import { until } from '../support/until.ts';

test('events whose snapshots cannot be written name none, and the reason is logged once', async () => {
  const broker = await startBroker();
  const recorder = await Recorder.connect(broker.url);
  const folder = tempFolder();
  const snapshots = join(folder, 'data', 'snapshots');
  mkdirSync(snapshots, { recursive: true });
  writeFileSync(join(snapshots, 'door'), 'a file where the folder of the camera should be');
  const { camera, labels } = busyCamera(4, ['person', 'car']);
  const daemon = new DaemonProcess(
    { device: 'dut', cameras: { door: camera }, labels, mqtt: { ...broker.mqtt } },
    folder,
  );
  const ended = () => eventMessages(recorder, 'dut', 'door').filter(({ type }) => type === 'end');
  try {
    const fault = await daemon.line(({ msg }) => msg.startsWith('writing snapshots failed'));
    assert.equal(fault.code, 'STORE_UNWRITABLE');
    assert.match(fault.msg, /snapshots\/door\/.*\.jpg: cannot write: .*(ENOTDIR|EEXIST)/);
    await until('some events', () => ended().length >= 4);
    assert.equal((await daemon.stop()).code, 0);
    const last = new Map(ended().map(({ id, snapshot }) => [id, snapshot]));
    assert.deepEqual(new Set(last.values()), new Set([null]));
    const rows = readEvents(join(folder, 'data', 'lookout.db'));
    assert.ok(rows.length >= 4);
    for (const { id, snapshot } of rows) assert.equal(snapshot, null, id);
    assert.equal(daemon.log.filter(({ msg }) => msg.startsWith('writing snapshots failed')).length, 1);
    assert.ok(recorder.last('lookout/dut/door/snapshot'), 'the picture itself is published all the same');
  } finally {
    daemon.child.kill('SIGKILL');
    await recorder.end();
    await broker.remove();
  }
});
