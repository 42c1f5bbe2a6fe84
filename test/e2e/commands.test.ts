import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBroker } from '../support/broker.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { Recorder } from '../support/recorder.ts';
import { until } from '../support/until.ts';

test('commands over MQTT change a camera and publish the new state; invalid payloads change nothing', async () => {
  const broker = await startBroker();
  const recorder = await Recorder.connect(broker.url);
  const daemon = new DaemonProcess(
    {
      device: 'dut',
      cameras: { door: { source: { kind: 'demo' } } },
      mqtt: { ...broker.mqtt },
      health_interval: 1,
    },
    tempFolder(),
  );
  const topic = (name: string) => `lookout/dut/door/${name}`;
  try {
    await recorder.sees(topic('status'), 'online');
    await recorder.sees(topic('enabled'), 'ON');
    await until('the threshold', () => recorder.last(topic('threshold')) !== undefined);

    for (const [setting, rubbish] of [
      ['enabled', 'maybe'],
      ['detect', '{"on":true}'],
      ['threshold', '1.5'],
      ['threshold', '-1'],
      ['threshold', 'NaN'],
      ['snapshot', 'x'.repeat(100_000)],
      ['colour', 'red'],
    ] as const) {
      const before = daemon.log.length;
      await recorder.publish(topic(`${setting}/set`), rubbish);
      await until(`a line about ${setting}=${rubbish.slice(0, 10)}`, () =>
        daemon.log.slice(before).some(({ msg }) => msg.startsWith('command refused')),
      );
      // One refusal a second is said.
      await new Promise((resolve) => setTimeout(resolve, 1050));
    }
    assert.deepEqual(new Set(recorder.texts(topic('enabled'))), new Set(['ON']));
    assert.equal(new Set(recorder.texts(topic('threshold'))).size, 1);

    await recorder.publish(topic('threshold/set'), '0.9');
    await recorder.sees(topic('threshold'), '0.9');
    await recorder.publish(topic('detect/set'), 'OFF');
    await recorder.sees(topic('detect'), 'OFF');

    await recorder.publish(topic('snapshot/set'), 'PRESS');
    await until('a snapshot', () => recorder.messages.some((message) => message.topic === topic('snapshot')));

    await recorder.publish(topic('enabled/set'), 'OFF');
    await recorder.sees(topic('status'), 'disabled');
    await recorder.publish(topic('enabled/set'), 'ON');
    await recorder.sees(topic('status'), 'online');

    await until('health', () => recorder.last('lookout/dut/health') !== undefined);
    const health = JSON.parse(recorder.last('lookout/dut/health') ?? '{}') as Record<string, unknown>;
    for (const key of ['fps', 'frames_captured', 'frames_dropped', 'cpu_percent', 'rss_mb', 'outbox_depth']) {
      assert.equal(typeof health[key], 'number', key);
    }
  } finally {
    await daemon.stop();
    await recorder.end();
    await broker.remove();
  }
});
