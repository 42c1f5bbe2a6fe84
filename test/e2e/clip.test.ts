import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { startBroker } from '../support/broker.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { eventMessages, readEvents } from '../support/log.ts';
import { Recorder } from '../support/recorder.ts';
import { requires, requiresShared, shared } from '../support/requires.ts';

const CLIP = 'data/clips/car-detection.mp4';
const MODEL = 'models/mobilenet_v2_1.0_224_int8.onnx';
/** When cars are well in view, seconds of the clip. */
const PASSAGES = [
  [4.5, 8.5],
  [14.5, 19],
  [25.5, 28],
] as const;

test('three passages on a real road are three vehicle events, in SQLite and on the broker', {
  skip: requires('ffmpeg') || requiresShared(CLIP, MODEL),
}, async () => {
  const broker = await startBroker();
  const recorder = await Recorder.connect(broker.url);
  const folder = tempFolder();
  const example = parse(readFileSync('config/examples/road.yaml', 'utf8')) as {
    cameras: { road: { source: object } };
  };
  const { road } = example.cameras;
  const daemon = new DaemonProcess(
    {
      ...example,
      device: 'dut',
      cameras: { road: { ...road, source: { ...road.source, path: shared(CLIP) } } },
      model: { file: shared(MODEL) },
      mqtt: { ...broker.mqtt },
    },
    folder,
  );
  try {
    const online = await daemon.line(({ camera, msg }) => camera === 'road' && msg.includes('online'));
    const start = Date.parse(String(online.time));
    assert.equal((await daemon.exited).code, 0);

    const rows = readEvents(join(folder, 'data', 'lookout.db'));
    assert.deepEqual(
      rows.map(({ label }) => label),
      ['vehicle', 'vehicle', 'vehicle'],
    );
    for (const [i, [from, to]] of PASSAGES.entries()) {
      const { started_at, ended_at } = rows[i]!;
      const [begun, ended] = [(started_at - start) / 1000, ((ended_at ?? 0) - start) / 1000];
      assert.ok(
        begun > from - 2 && begun < to + 1,
        `event ${i + 1} started at ${begun} s, cars at ${from}–${to} s`,
      );
      assert.ok(
        ended >= begun && ended < to + 3,
        `event ${i + 1} ended at ${ended} s, cars at ${from}–${to} s`,
      );
    }
    await recorder.sees('lookout/dut/status', 'offline');
    const messages = eventMessages(recorder, 'dut', 'road').filter(({ type }) => type !== 'update');
    assert.deepEqual(
      messages.map(({ id, type }) => [id, type]),
      rows.flatMap(({ id }) => [
        [id, 'start'],
        [id, 'end'],
      ]),
    );
    assert.deepEqual(
      recorder.texts('lookout/dut/road/vehicle').filter((state, i, all) => state !== all[i - 1]),
      ['OFF', 'ON', 'OFF', 'ON', 'OFF', 'ON', 'OFF'],
    );
  } finally {
    daemon.child.kill('SIGKILL');
    await recorder.end();
    await broker.remove();
  }
});
