import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startBroker } from '../support/broker.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { busyCamera, type EventRow, eventMessages, integrity, readEvents } from '../support/log.ts';
import { Seeded } from '../support/random.ts';
import { Recorder } from '../support/recorder.ts';
import { times } from '../support/requires.ts';
import { until } from '../support/until.ts';

const KILLS = times(3, 8);

test(`after ${KILLS} times SIGKILL no committed event is lost or altered, and all are published`, async () => {
  const broker = await startBroker();
  const recorder = await Recorder.connect(broker.url);
  const folder = tempFolder();
  const { camera, labels } = busyCamera(1, ['person', 'car', 'cat']);
  const settings = { device: 'dut', cameras: { door: camera }, labels, mqtt: { ...broker.mqtt } };
  const database = join(folder, 'data', 'lookout.db');
  const random = new Seeded(20);
  const committed = new Map<string, EventRow>();
  const opened = new Set<string>();
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      const daemon = new DaemonProcess(settings, folder);
      await daemon.line(({ event }) => event?.type === 'start');
      await delay(2000 * random.next());
      for (const row of readEvents(database)) {
        if (row.ended_at === null) opened.add(row.id);
        else committed.set(row.id, row);
      }
      await daemon.stop('SIGKILL');
    }
    const last = new DaemonProcess(settings, folder);
    await last.line(({ event }) => event?.type === 'start');
    assert.equal((await last.stop()).code, 0);

    assert.equal(integrity(database), 'ok');
    const rows = new Map(readEvents(database).map((row) => [row.id, row]));
    assert.ok(committed.size > KILLS, `${committed.size} events`);
    for (const [id, row] of committed) assert.deepEqual(rows.get(id), row);
    for (const id of opened) assert.ok(rows.get(id)?.ended_at, 'an event that a crash left open has an end');

    const told = () => eventMessages(recorder, 'dut', 'door');
    for (const id of rows.keys()) {
      await until(`event ${id} to be published`, () => {
        const types = told()
          .filter((message) => message.id === id)
          .map(({ type }) => type);
        return types[0] === 'start' && types.at(-1) === 'end';
      });
    }
  } finally {
    await recorder.end();
    await broker.remove();
  }
});
