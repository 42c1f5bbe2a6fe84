import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { LookoutError } from '../../src/errors.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { eventChange } from '../fakes/events.ts';
import { healthSample } from '../fakes/health.ts';
import { freePort } from '../support/mosquitto.ts';
import { TestPublisher } from '../support/publishing.ts';
import { Recorder } from '../support/recorder.ts';
import { until } from '../support/until.ts';

async function listen(t: TestContext, one: TestPublisher, filter?: string): Promise<Recorder> {
  const recorder = await Recorder.connect(one.publisher.address, filter);
  t.after(() => recorder.end());
  return recorder;
}

test('a publisher with its own broker needs nothing else: any client gets the state', async (t) => {
  const one = await TestPublisher.start(t, {});
  one.publisher.setInfo({
    version: '1',
    board: null,
    model: 'm',
    provider: 'cpu',
    cameras: ['drive', 'porch'],
  });
  one.publisher.setCameraStatus('drive', 'online');
  one.publisher.setLabel('drive', 'vehicle', true);
  one.publisher.setSetting({ camera: 'drive', setting: 'threshold', value: 0.6 });
  one.publisher.publishHealth(healthSample());
  one.publisher.publishSnapshot('drive', Buffer.from([0xff, 0xd8, 0xff, 0xd9]));
  await until('the state to be published', () => one.publisher.stats.connected);
  const recorder = await listen(t, one);
  await recorder.sees('lookout/garden/status', 'online');
  await recorder.sees('lookout/garden/drive/status', 'online');
  await recorder.sees('lookout/garden/porch/status', 'offline');
  await recorder.sees('lookout/garden/drive/vehicle', 'ON');
  await recorder.sees('lookout/garden/drive/person', 'OFF');
  await recorder.sees('lookout/garden/drive/threshold', '0.6');
  const discovery = 'homeassistant/device/lookout_garden/config';
  for (const topic of ['drive/snapshot', 'health', 'info'].map((last) => `lookout/garden/${last}`)) {
    await until(topic, () => recorder.last(topic) !== undefined);
  }
  await until('the version', () => recorder.last(discovery)?.includes('sw_version') === true);
  const picture = recorder.messages.find(({ topic }) => topic === 'lookout/garden/drive/snapshot');
  assert.deepEqual(picture?.payload, Buffer.from([0xff, 0xd8, 0xff, 0xd9]));
  assert.equal(JSON.parse(recorder.last('lookout/garden/info')!).provider, 'cpu');
  assert.equal(JSON.parse(recorder.last(discovery)!).device.sw_version, '1');
});

test('labels and models change while connected: topics are cleared, entities are removed and added', async (t) => {
  const one = await TestPublisher.start(t, {});
  const recorder = await listen(t, one);
  const topic = 'homeassistant/device/lookout_garden/config';
  const components = () =>
    (JSON.parse(recorder.last(topic) ?? '{"components":{}}') as { components: Record<string, object> })
      .components;
  await recorder.sees('lookout/garden/drive/vehicle', 'OFF');
  await until('the entity', () => 'drive.label.vehicle' in components());

  one.publisher.setCameras([{ name: 'drive', labels: ['person', 'jay'] }], ['default', 'birds', 'insects']);
  one.publisher.setLabel('drive', 'jay', true);
  await recorder.sees('lookout/garden/drive/vehicle', '');
  await recorder.sees('lookout/garden/drive/jay', 'ON');
  assert.equal(recorder.last('lookout/garden/drive/person'), 'OFF');
  await until('the new entity', () => 'drive.label.jay' in components());
  assert.deepEqual(components()['drive.label.vehicle'], { platform: 'binary_sensor' });
  const select = components()['drive.model'] as { options: string[] };
  assert.deepEqual(select.options, ['default', 'birds', 'insects']);

  await recorder.publish('lookout/garden/drive/model/set', 'insects');
  await until('the command', () => one.commands.length === 1);
  assert.deepEqual(one.commands, [{ camera: 'drive', setting: 'model', value: 'insects' }]);
  assert.equal(recorder.last('lookout/garden/drive/model'), undefined);
  one.publisher.confirm({ camera: 'drive', setting: 'model', value: 'insects' });
  await recorder.sees('lookout/garden/drive/model', 'insects');
});

test('commands are applied and their state is retained; invalid ones change nothing', async (t) => {
  const one = await TestPublisher.start(t, {}, { clock: systemClock });
  one.publisher.setSetting({ camera: 'drive', setting: 'detect', value: true });
  one.publisher.setSetting({ camera: 'drive', setting: 'threshold', value: 0.6 });
  const recorder = await listen(t, one);
  await recorder.sees('lookout/garden/drive/detect', 'ON');
  await recorder.publish('lookout/garden/drive/detect/set', 'OFF');
  await recorder.publish('lookout/garden/drive/threshold/set', '0.75');
  await recorder.publish('lookout/garden/drive/snapshot/set', 'PRESS');
  await recorder.publish('lookout/garden/porch/enabled/set', 'OFF');
  await recorder.sees('lookout/garden/porch/enabled', 'OFF');
  await recorder.sees('lookout/garden/drive/detect', 'OFF');
  await recorder.sees('lookout/garden/drive/threshold', '0.75');
  const taken = [
    { camera: 'drive', setting: 'detect', value: false },
    { camera: 'drive', setting: 'threshold', value: 0.75 },
    { camera: 'drive', setting: 'snapshot', value: null },
    { camera: 'porch', setting: 'enabled', value: false },
  ];
  assert.deepEqual(one.commands, taken);

  const detect = 'lookout/garden/drive/detect';
  const echoes = recorder.texts(detect).length;
  await recorder.publish(`${detect}/set`, 'maybe');
  await recorder.publish('lookout/garden/drive/threshold/set', '17');
  await recorder.publish('lookout/garden/attic/detect/set', 'ON');
  await recorder.publish('lookout/garden/drive/self-destruct/set', 'ON');
  await until('all to be refused', () => one.publisher.stats.refused === 4);
  const lines = one.log.lines.filter(({ msg }) => msg.startsWith('command refused'));
  assert.equal(lines.length, 1, 'logged once a second');
  assert.equal(lines[0]!.msg, `command refused: ${detect}/set: expected ON, OFF or RESET, found "maybe"`);
  one.fault = new Error('camera is busy');
  await recorder.publish(`${detect}/set`, 'ON');
  await until('it to be refused too', () => one.publisher.stats.refused === 5);
  one.fault = null;
  await recorder.publish(`${detect}/set`, 'OFF');
  await until('the echo of the last one', () => recorder.texts(detect).length > echoes);
  assert.deepEqual(recorder.texts(detect).slice(echoes), ['OFF'], 'an echo of the accepted one');
  assert.deepEqual(one.commands, [...taken, { camera: 'drive', setting: 'detect', value: false }]);
});

test('a retained command is not obeyed at each connection', async (t) => {
  const host = await TestPublisher.start(t, {});
  const recorder = await listen(t, host);
  await recorder.publish('other/garden/drive/enabled/set', 'OFF', true);
  const guest = await TestPublisher.start(t, { url: host.publisher.address, version: 4, base: 'other' });
  await until('it to be refused', () => guest.publisher.stats.refused === 1);
  assert.deepEqual(guest.commands, []);
  assert.match(guest.log.text, /without the retain flag/);
});

test('a broker without MQTT 5 is distinguished from an unreachable one', async (t) => {
  const host = await TestPublisher.start(t, {});
  const guest = await TestPublisher.start(t, { url: host.publisher.address, version: 5, base: 'other' });
  await until('the error', () => guest.log.withCode('MQTT_VERSION').length > 0);
  assert.match(guest.log.withCode('MQTT_VERSION')[0]!.hint!, /mqtt\.version/);
});

test('Home Assistant gets the description again when it comes online', async (t) => {
  const one = await TestPublisher.start(t, {});
  const recorder = await listen(t, one, 'homeassistant/#');
  const config = 'homeassistant/device/lookout_garden/config';
  await until('the first description', () => recorder.texts(config).length > 0);
  const before = recorder.texts(config).length;
  await recorder.publish('homeassistant/status', 'offline');
  await recorder.publish('homeassistant/status', 'online');
  await until('another description', () => recorder.texts(config).length > before);
  assert.equal(recorder.texts(config).length, before + 1);
});

test('without a discovery prefix nothing is published for Home Assistant', async (t) => {
  const one = await TestPublisher.start(t, { discovery: '' });
  const recorder = await listen(t, one);
  await recorder.sees('lookout/garden/status', 'online');
  one.record(eventChange());
  await until('the event', () => recorder.last('lookout/garden/drive/event') !== undefined);
  assert.deepEqual(
    recorder.messages.filter(({ topic }) => !topic.startsWith('lookout/garden/')),
    [],
  );
});

test('a port that is in use is named, with two solutions', async (t) => {
  const port = await freePort();
  const server = createServer().listen(port, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const one = new TestPublisher({ embedded_port: port });
  await assert.rejects(one.publisher.start(), (error: unknown) => {
    assert.ok(error instanceof LookoutError);
    assert.equal(error.code, 'MQTT_PORT_IN_USE');
    assert.equal(error.exitCode, 78);
    assert.match(error.message, new RegExp(`^mqtt\\.embedded_port: port ${port} on 127`));
    assert.match(
      error.hint!,
      new RegExp(`mqtt\\.url to mqtt://127\\.0\\.0\\.1:${port}\\. Otherwise set mqtt\\.embedded_port`),
    );
    return true;
  });
  await one.publisher.stop();
});

test('an IP address of another machine is named', async () => {
  const one = new TestPublisher({ embedded_host: '192.0.2.1' });
  await assert.rejects(one.publisher.start(), { code: 'MQTT_LISTEN_FAILED' });
});

test('stop publishes what is pending, then offline, and closes the broker', async (t) => {
  const one = new TestPublisher({}, { clock: systemClock });
  await one.publisher.start();
  const recorder = await listen(t, one);
  await recorder.sees('lookout/garden/status', 'online');
  for (let i = 0; i < 20; i++) one.record(eventChange({ id: `e${i}` }, 'end'));
  one.publisher.setLabel('drive', 'vehicle', true);
  const port = Number(new URL(one.publisher.address).port);
  const start = performance.now();
  await one.publisher.stop();
  assert.ok(performance.now() - start < 1000);
  await recorder.sees('lookout/garden/status', 'offline');
  assert.equal(recorder.texts('lookout/garden/drive/event').length, 20);
  assert.equal(recorder.last('lookout/garden/drive/vehicle'), 'ON');
  assert.deepEqual(one.outbox.rows, []);
  const refused = new Promise((resolve) => connect(port, '127.0.0.1').once('error', resolve));
  assert.match(String(await refused), /ECONNREFUSED/);
});

test('invalid data on the port of the embedded broker harms no client', async (t) => {
  const one = await TestPublisher.start(t, {});
  const recorder = await listen(t, one);
  await recorder.sees('lookout/garden/status', 'online');
  const port = Number(new URL(one.publisher.address).port);
  for (const rubbish of [
    'GET / HTTP/1.1\r\n\r\n',
    Buffer.alloc(70_000, 0xff),
    Buffer.from([0x10, 0x02, 0, 0]),
  ]) {
    await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.end(rubbish));
      socket.once('error', resolve).once('close', resolve).resume();
    });
  }
  one.record(eventChange());
  await until('an event after it', () => recorder.last('lookout/garden/drive/event') !== undefined);
});

test('with MQTT disabled nothing is recorded for it and nothing runs', async () => {
  const one = new TestPublisher({ enabled: false });
  await one.publisher.start();
  assert.deepEqual(one.publisher.eventMessages(eventChange()), []);
  one.publisher.setLabel('drive', 'vehicle', true);
  assert.equal(one.publisher.address, '');
  assert.deepEqual(one.publisher.stats, {
    connected: false,
    connections: 0,
    published: 0,
    replayed: 0,
    refused: 0,
  });
  await one.publisher.stop();
});
