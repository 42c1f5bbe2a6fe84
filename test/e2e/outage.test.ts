import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startBroker } from '../support/broker.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { busyCamera, eventMessages, readEvents } from '../support/log.ts';
import { Recorder } from '../support/recorder.ts';
import { until } from '../support/until.ts';

const OUTAGE_MS = 15_000;

test('a broker killed for a while gets every event afterwards, in order, once per id', async () => {
  const broker = await startBroker({ persistence: true });
  const recorder = await Recorder.connect(broker.url);
  const folder = tempFolder();
  const { camera, labels } = busyCamera(1, ['person', 'car']);
  const daemon = new DaemonProcess(
    { device: 'dut', cameras: { door: camera }, labels, mqtt: { ...broker.mqtt } },
    folder,
  );
  const database = join(folder, 'data', 'lookout.db');
  try {
    await until('some events before', () => eventMessages(recorder, 'dut', 'door').length > 6);
    await broker.save();
    await broker.stop('SIGKILL');
    const before = readEvents(database).length;
    const killedAt = new Date().toISOString();
    await delay(OUTAGE_MS);
    const during = readEvents(database).length - before;
    assert.ok(during > 10, `only ${during} events in the outage`);
    await broker.start();
    await until('the broker to be seen again', () => recorder.connected);
    const connections = () =>
      daemon.log.filter(({ msg }) => msg.startsWith('connected to the MQTT broker')).length;
    await until('the daemon to find the broker again', () => connections() === 2, 60_000);
    await delay(2000);
    assert.equal((await daemon.stop()).code, 0);
    await recorder.sees('lookout/dut/status', 'offline');

    const rows = readEvents(database);
    const arrived = eventMessages(recorder, 'dut', 'door').filter(({ type }) => type !== 'update');
    const messages = arrived.filter(({ id, type }, i) => {
      return arrived.findIndex((first) => first.id === id && first.type === type) === i;
    });
    for (const twice of arrived.filter((message) => !messages.includes(message))) {
      // Only what was under way when the broker was killed may come again: it never said that it has it.
      assert.ok(twice.started_at < killedAt, `${twice.type} of ${twice.id} came twice`);
    }
    const ids = rows.map(({ id }) => id).sort();
    for (const type of ['start', 'end'] as const) {
      const told = messages.filter((message) => message.type === type).map(({ id }) => id);
      assert.deepEqual(told.sort(), ids, `every ${type}`);
    }
    const starts = messages.filter(({ type }) => type === 'start').map(({ id }) => id);
    assert.deepEqual(starts, [...starts].sort(), 'starts are in order');
    for (const { id, started_at, ended_at } of rows) {
      const [start, end] = messages.filter((message) => message.id === id);
      assert.deepEqual([start?.type, end?.type], ['start', 'end']);
      assert.equal(end?.started_at, new Date(started_at).toISOString(), 'original time of start');
      assert.equal(end?.ended_at, new Date(ended_at ?? 0).toISOString(), 'original time of end');
    }
    assert.ok(messages.filter(({ replayed }) => replayed).length > 20, 'late messages say so');
    assert.ok(messages.some(({ replayed }) => !replayed));
  } finally {
    daemon.child.kill('SIGKILL');
    await recorder.end();
    await broker.remove();
  }
});
