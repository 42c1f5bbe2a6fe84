import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { startBroker } from '../support/broker.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { busyCamera, eventMessages, readEvents } from '../support/log.ts';
import { Recorder } from '../support/recorder.ts';
import { until } from '../support/until.ts';
import { colourModel } from '../unit/vision/colour-model.ts';

test('cameras with models of their own swap them by command and by SIGHUP, and no event is lost', async () => {
  const broker = await startBroker();
  const recorder = await Recorder.connect(broker.url);
  const folder = tempFolder();
  const { file, remove } = colourModel();
  writeFileSync(join(folder, 'labels.txt'), 'red\ngreen\nblue\n');
  const { camera, labels } = busyCamera(3600, ['person', 'red', 'blue']);
  const settings = {
    device: 'dut',
    cameras: { door: camera, feeder: { ...camera, model: 'colours' } },
    models: { colours: { file, labels: 'labels.txt' } },
    labels: { person: labels.person, red: labels.red },
    mqtt: { ...broker.mqtt },
  };
  const daemon = new DaemonProcess(settings, folder);
  const rewrite = (text: string) => {
    writeFileSync(join(folder, 'lookout.yaml'), text);
    daemon.child.kill('SIGHUP');
  };
  const sees = (topic: string, text: string) => recorder.sees(`lookout/dut/${topic}`, text);
  const configError = () =>
    (JSON.parse(recorder.last('lookout/dut/info') ?? '{}') as { config_error?: string | null }).config_error;
  try {
    await sees('door/person', 'ON');
    await sees('feeder/red', 'ON');
    await sees('door/model', 'default');
    await sees('feeder/model', 'colours');
    assert.equal(recorder.last('lookout/dut/feeder/person'), undefined);

    await recorder.publish('lookout/dut/feeder/model/set', 'default');
    await sees('feeder/model', 'default');
    await sees('feeder/person', 'ON');
    await sees('feeder/red', '');
    await recorder.publish('lookout/dut/feeder/model/set', 'nonsense');
    await daemon.line(({ msg }) => /command refused: .*one of the models default, colours/.test(msg));

    const open = () => readEvents(join(folder, 'data', 'lookout.db')).filter((event) => !event.ended_at);
    // MQTT says it before the log has it.
    await until('a person at each camera in the log', () => {
      return open().length === 2 && open().every(({ label }) => label === 'person');
    });
    const ids = () => open().map(({ id }) => id);
    const before = ids();
    for (const broken of [
      'cameras: {',
      stringify({ ...settings, labels: { pirson: {} } }),
      stringify({ ...settings, models: { colours: { file: 'nowhere.onnx' } } }),
    ]) {
      const errors = () =>
        daemon.log.filter(({ msg }) => /^reload failed, the configuration is unchanged/.test(msg)).length;
      const told = errors();
      rewrite(broken);
      await until('the refusal', () => errors() === told + 1);
      await until('the error in info', () => typeof configError() === 'string');
    }
    assert.deepEqual(ids(), before, 'the same events are open');

    rewrite(
      stringify({
        ...settings,
        cameras: { ...settings.cameras, door: { ...camera, model: 'colours' } },
        labels,
        mqtt: { ...settings.mqtt, keepalive: 60 },
      }),
    );
    await sees('door/model', 'colours');
    assert.equal(
      recorder.last('lookout/dut/feeder/model'),
      'default',
      'the file says the same of it as before',
    );
    await recorder.publish('lookout/dut/feeder/model/set', 'RESET');
    const waiting = await daemon.line(({ msg }) => /need a restart/.test(msg));
    assert.match(waiting.msg, /: mqtt\.keepalive$/);
    await sees('door/model', 'colours');
    await sees('feeder/model', 'colours');
    for (const name of ['door', 'feeder']) {
      for (const label of ['red', 'blue']) await sees(`${name}/${label}`, 'ON');
      await sees(`${name}/person`, '');
    }
    await until('no error in info', () => configError() === null);

    for (const [model, label] of [
      ['default', 'person'],
      ['colours', 'red'],
    ] as const) {
      await recorder.publish('lookout/dut/door/model/set', model);
      await sees('door/model', model);
      await sees(`door/${label}`, 'ON');
    }
    // The stop comes while models are swapped.
    for (const model of ['default', 'colours', 'default', 'colours']) {
      await recorder.publish('lookout/dut/door/model/set', model);
    }

    assert.equal((await daemon.stop()).code, 0, daemon.stderr.join('\n'));
    await sees('status', 'offline');
    const events = readEvents(join(folder, 'data', 'lookout.db'));
    for (const name of ['door', 'feeder']) {
      const messages = eventMessages(recorder, 'dut', name).filter(({ type }) => type !== 'update');
      const own = events.filter((event) => event.camera === name);
      assert.ok(own.length >= 4, `${own.length} events`);
      for (const event of own) {
        assert.ok(typeof event.ended_at === 'number' && event.ended_at >= event.started_at);
        assert.equal(event.model === 'colour', event.label !== 'person', 'each model says its own labels');
        assert.deepEqual(
          messages.filter(({ id }) => id === event.id).map(({ type }) => type),
          ['start', 'end'],
        );
      }
      assert.equal(messages.length, 2 * own.length);
    }
    assert.deepEqual(
      daemon.log.filter(({ msg }) => /threads failed|camera \w+: .* failed/.test(msg)),
      [],
    );
  } finally {
    daemon.child.kill('SIGKILL');
    await recorder.end();
    await broker.remove();
    remove();
  }
});
