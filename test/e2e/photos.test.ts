import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { startBroker } from '../support/broker.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { eventMessages, readEvents } from '../support/log.ts';
import { Recorder } from '../support/recorder.ts';
import { requires, requiresShared, shared } from '../support/requires.ts';

const MODEL = 'models/mobilenet_v2_1.0_224_int8.onnx';

describe('a folder of photos', { skip: requiresShared(MODEL, 'data/photos/photos.csv') }, () => {
  for (const version of [4, 5]) {
    test(`becomes the right events in SQLite and on the broker (MQTT ${version})`, {
      skip: version === 5 && requires('mosquitto'),
    }, async () => {
      const broker = await startBroker();
      const recorder = await Recorder.connect(broker.url);
      const folder = tempFolder();
      const once = { on: 0.5, off: 0.3, window: 1, hits: 1, hold: 0 };
      const daemon = new DaemonProcess(
        {
          device: 'dut',
          cameras: {
            album: {
              source: { kind: 'replay', path: shared('data/photos'), pace: 'consumed', loop: false },
              classify: 'frame',
              gate: 'always',
            },
          },
          model: { file: shared(MODEL) },
          labels: { bird: once, cat: once, dog: once, vehicle: once },
          mqtt: { url: broker.url, version },
        },
        folder,
      );
      try {
        const { code } = await daemon.exited;
        assert.equal(code, 0, 'a replay that has ended ends the daemon');

        const wal = join(folder, 'data', 'lookout.db-wal');
        assert.ok(!existsSync(wal), 'the database is closed cleanly');
        // bird.jpg; three pictures of one cat; owl.jpg (a grouse to the model) and parrot.jpg; pets.jpg.
        const rows = readEvents(join(folder, 'data', 'lookout.db'));
        assert.deepEqual(
          rows.map(({ label }) => label),
          ['bird', 'cat', 'bird', 'dog'],
        );
        assert.ok(rows.every(({ ended_at }) => ended_at !== null));

        await recorder.sees('lookout/dut/status', 'offline');
        const messages = eventMessages(recorder, 'dut', 'album').filter(({ type }) => type !== 'update');
        assert.deepEqual(
          messages.map(({ type, id }) => [type, id]),
          rows.flatMap(({ id }) => [
            ['start', id],
            ['end', id],
          ]),
        );
        for (const { snapshot } of messages) {
          const jpeg = readFileSync(join(folder, 'data', 'snapshots', snapshot ?? ''));
          assert.deepEqual([...jpeg.subarray(0, 3)], [0xff, 0xd8, 0xff]);
        }
        const picture = recorder.messages.findLast(({ topic }) => topic === 'lookout/dut/album/snapshot');
        assert.deepEqual([...(picture?.payload.subarray(0, 3) ?? [])], [0xff, 0xd8, 0xff]);
        const info = JSON.parse(recorder.last('lookout/dut/info') ?? '{}') as Record<string, unknown>;
        assert.equal(info.provider, 'cpu');
        for (const label of ['bird', 'cat', 'dog', 'vehicle']) {
          assert.equal(recorder.last(`lookout/dut/album/${label}`), 'OFF');
        }
      } finally {
        daemon.child.kill('SIGKILL');
        await recorder.end();
        await broker.remove();
      }
    });
  }
});
