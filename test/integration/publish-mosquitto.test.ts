import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { MqttConfig } from '../../src/config/schema.ts';
import { eventChange } from '../fakes/events.ts';
import { healthSample } from '../fakes/health.ts';
import { type Broker, type BrokerOptions, startBroker } from '../support/broker.ts';
import { tempFolder } from '../support/daemon.ts';
import { freePort, Mosquitto, type MosquittoOptions } from '../support/mosquitto.ts';
import { FakeAnnounced, TestPublisher } from '../support/publishing.ts';
import { Recorder } from '../support/recorder.ts';
import { requires } from '../support/requires.ts';
import { until } from '../support/until.ts';

const needsMosquitto = requires('mosquitto');
const EVENTS = 'lookout/garden/drive/event';

async function broker(t: TestContext, options?: BrokerOptions): Promise<Broker> {
  const one = await startBroker(options);
  t.after(() => one.remove());
  return one;
}

/** A broker with MQTT 5 or access rules. */
async function mosquittoOf(t: TestContext, options?: MosquittoOptions): Promise<Mosquitto> {
  const mosquitto = await Mosquitto.start(options);
  t.after(() => mosquitto.remove());
  return mosquitto;
}

async function listen(t: TestContext, { url }: Broker, filter?: string): Promise<Recorder> {
  const recorder = await Recorder.connect(url, filter);
  t.after(() => recorder.end());
  return recorder;
}

const folder = tempFolder();
const passwords = join(folder, 'password');

function withPassword({ url }: Broker, version: 4 | 5, password: string): Partial<MqttConfig> {
  writeFileSync(passwords, password);
  return { url, version, username: 'garden', password_file: passwords };
}

const number = (text: string): number => Number((JSON.parse(text) as { id: string }).id.slice(1));

function testVersion(version: 4 | 5): void {
  test(`state, events and commands work over MQTT ${version === 4 ? '3.1.1' : '5'}`, async (t) => {
    const mosquitto = await broker(t);
    const recorder = await listen(t, mosquitto);
    const one = await TestPublisher.start(t, { ...mosquitto.mqtt, version });
    one.publisher.setSetting({ camera: 'drive', setting: 'enabled', value: true });
    one.record(eventChange());
    one.publisher.publishHealth(healthSample());
    await recorder.sees('lookout/garden/status', 'online');
    await until('the event', () => recorder.last(EVENTS) !== undefined);
    const event = recorder.messages.find(({ topic }) => topic === EVENTS)!;
    assert.equal(event.qos, 1);
    await recorder.publish('lookout/garden/drive/enabled/set', 'OFF');
    await recorder.sees('lookout/garden/drive/enabled', 'OFF');

    const late = await listen(t, mosquitto, 'lookout/#');
    await late.sees('lookout/garden/drive/enabled', 'OFF');
    await until('health', () => late.last('lookout/garden/health') !== undefined);
    assert.deepEqual(late.texts(EVENTS), [], 'events are not retained');
    assert.ok(late.messages.every(({ retained }) => retained));
  });

  test(`a wrong password is logged once a second at most, and the right one works without a restart (MQTT ${version})`, async (t) => {
    const mosquitto = await broker(t, { users: { garden: 'right' } });
    const one = await TestPublisher.start(t, withPassword(mosquitto, version, 'wrong\n'));
    await until('two refusals', () => one.log.withCode('MQTT_REFUSED').length >= 2);
    const [line] = one.log.withCode('MQTT_REFUSED');
    assert.match(
      line!.msg,
      /the broker refuses the user name, the password or the client id lookout_garden; retrying in 1 s/,
    );
    assert.match(line!.hint!, /mqtt\.password_file/);
    withPassword(mosquitto, version, 'right\n');
    await until('the connection', () => one.publisher.stats.connected);
    assert.doesNotMatch(one.log.text, /wrong|right/);
  });
}

testVersion(4);

describe('MQTT 5', { skip: needsMosquitto }, () => {
  testVersion(5);

  test('two devices with the same name log that instead of disconnecting each other silently', async (t) => {
    const mosquitto = await mosquittoOf(t);
    const one = await TestPublisher.start(t, { ...mosquitto.mqtt, version: 5 });
    await until('the connection', () => one.publisher.stats.connected);
    const two = await TestPublisher.start(t, { ...mosquitto.mqtt, version: 5 });
    await until('the error', () => one.log.withCode('MQTT_DUPLICATE').length > 0);
    assert.match(one.log.withCode('MQTT_DUPLICATE')[0]!.hint!, /own `device` name/);
    await two.publisher.stop();
  });
});

test('MQTT works over WebSocket, too', { skip: needsMosquitto }, async (t) => {
  const port = await freePort();
  const mosquitto = await mosquittoOf(t, { lines: [`listener ${port} 127.0.0.1`, 'protocol websockets'] });
  const one = await TestPublisher.start(t, { url: `ws://127.0.0.1:${port}/mqtt` });
  one.record(eventChange());
  await until('the event to be accepted', () => one.publisher.stats.published === 1);
  const recorder = await listen(t, mosquitto);
  await recorder.sees('lookout/garden/status', 'online');
});

test('2,000 events arrive in order, once per id, although the broker is killed meanwhile', {
  skip: needsMosquitto,
}, async (t) => {
  const mosquitto = await mosquittoOf(t, { persistence: true });
  const recorder = await listen(t, mosquitto, EVENTS);
  // The subscriber's session is on disk, so the restarted broker keeps events for it.
  await mosquitto.save();
  const one = await TestPublisher.start(t, { ...mosquitto.mqtt });
  const total = 2000;
  let recorded = 0;
  const recordUpTo = (end: number) => {
    while (recorded < end) one.record(eventChange({ id: `e${recorded++}` }));
  };
  const arrived = () => recorder.messages.length;

  recordUpTo(800);
  await recorder.received(200);
  await mosquitto.stop('SIGKILL');
  assert.ok(arrived() < 800, `it was killed in the middle: ${arrived()}`);
  recordUpTo(1400);
  await mosquitto.start();
  await recorder.received(1000);
  await mosquitto.stop('SIGKILL');
  assert.ok(arrived() < 1400, `it was killed in the middle: ${arrived()}`);
  await mosquitto.start();
  recordUpTo(total);
  await until('all events', () => one.outbox.rows.length === 0 && arrived() >= total);

  const numbers = recorder.messages.map(({ payload }) => number(payload.toString()));
  const firsts = [...new Set(numbers)];
  assert.deepEqual(
    firsts,
    Array.from({ length: total }, (_, i) => i),
    'each id, in order of its first appearance',
  );
  assert.ok(
    numbers.length - total <= 2 * 16,
    `at most what was in flight came twice: ${numbers.length - total}`,
  );
  assert.ok(one.publisher.stats.connections >= 3);
  const flags = recorder.messages.map(
    ({ payload }) => JSON.parse(payload.toString()) as { id: string; replayed: boolean },
  );
  assert.equal(
    flags.find(({ id }) => id === 'e1399')?.replayed,
    true,
    'recorded while the broker was offline',
  );
  t.diagnostic(`${numbers.length - total} of ${total} events came twice`);
});

test('after an outage the latest state is published, and no value from in between', async (t) => {
  const mosquitto = await broker(t);
  const one = await TestPublisher.start(t, { ...mosquitto.mqtt });
  await until('the connection', () => one.publisher.stats.connected);
  await mosquitto.stop();
  await until('the loss', () => !one.publisher.stats.connected);
  for (let i = 0; i < 50; i++) {
    one.publisher.setLabel('drive', 'vehicle', true);
    one.publisher.setLabel('drive', 'vehicle', false);
    one.publisher.setCameraStatus('drive', 'stalled');
  }
  one.publisher.setCameraStatus('drive', 'online');
  one.publisher.publishSnapshot('drive', Buffer.from('old picture'));
  one.publisher.publishSnapshot('drive', Buffer.from('new picture'));
  await mosquitto.start();
  const recorder = await listen(t, mosquitto, 'lookout/#');
  await recorder.sees('lookout/garden/drive/snapshot', 'new picture');
  await recorder.sees('lookout/garden/status', 'online');
  assert.deepEqual([...new Set(recorder.texts('lookout/garden/drive/vehicle'))], ['OFF']);
  assert.deepEqual([...new Set(recorder.texts('lookout/garden/drive/status'))], ['online']);
  assert.deepEqual([...new Set(recorder.texts('lookout/garden/drive/snapshot'))], ['new picture']);
});

describe('a broker with access rules', { skip: needsMosquitto }, () => {
  test('a device that may not write its topics logs that and keeps its events', async (t) => {
    const rules = join(folder, 'acl');
    writeFileSync(rules, 'topic read lookout/garden/+/+/set\n');
    const mosquitto = await mosquittoOf(t, { lines: [`acl_file ${rules}`] });
    const one = await TestPublisher.start(t, { ...mosquitto.mqtt, version: 5 });
    one.record(eventChange());
    await until('the refusal', () => one.log.withCode('MQTT_FORBIDDEN').length > 0);
    assert.match(one.log.withCode('MQTT_FORBIDDEN')[0]!.hint!, /access rules/);
    assert.equal(one.outbox.rows.length, 1);
  });

  test('with the access rules of docs/mqtt.md a device writes its own topics and reads its own commands', async (t) => {
    const page = readFileSync(new URL('../../docs/mqtt.md', import.meta.url), 'utf8');
    const [, rules = ''] = /```\n(pattern readwrite .*?)```/s.exec(page) ?? [];
    writeFileSync(join(folder, 'acl'), rules);
    const users = { garden: 'g', shed: 's', homeassistant: 'h' };
    const mosquitto = await mosquittoOf(t, { users, lines: [`acl_file ${join(folder, 'acl')}`] });
    const login = { username: 'homeassistant', password: 'h' };
    const recorder = await Recorder.connect(mosquitto.url, '#', login);
    t.after(() => recorder.end());
    const one = await TestPublisher.start(t, withPassword(mosquitto, 5, 'g'));
    one.record(eventChange());
    await until('the event', () => recorder.last(EVENTS) !== undefined);
    await until(
      'the announcement',
      () => recorder.last('homeassistant/device/lookout_garden/config') !== undefined,
    );
    await recorder.publish('lookout/garden/drive/detect/set', 'OFF');
    await recorder.sees('lookout/garden/drive/detect', 'OFF');

    const neighbour = await Recorder.connect(mosquitto.url, 'lookout/garden/#', {
      username: 'shed',
      password: 's',
    });
    t.after(() => neighbour.end());
    await neighbour.publish('lookout/garden/drive/detect/set', 'ON');
    await recorder.publish('lookout/garden/drive/enabled/set', 'OFF');
    await recorder.sees('lookout/garden/drive/enabled', 'OFF');
    assert.deepEqual(
      one.commands.map(({ setting }) => setting),
      ['detect', 'enabled'],
    );
    assert.deepEqual(neighbour.messages, []);
  });

  test('a broker that does not let the device read its own topics logs nothing', async (t) => {
    const rules = join(folder, 'rules');
    writeFileSync(
      rules,
      'topic write lookout/#\ntopic write homeassistant/#\ntopic read lookout/+/+/+/set\n',
    );
    const mosquitto = await mosquittoOf(t, { lines: [`acl_file ${rules}`] });
    const one = await TestPublisher.start(t, { ...mosquitto.mqtt, discovery: '' });
    one.record(eventChange());
    await until('the event to be accepted', () => one.publisher.stats.published === 1);
    assert.deepEqual(one.log.withCode('MQTT_FORBIDDEN'), []);
  });
});

test('the broker publishes offline for a publisher that is killed', async (t) => {
  const mosquitto = await broker(t);
  const recorder = await listen(t, mosquitto, 'lookout/garden/status');
  const script = new URL('../fakes/publisher-process.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, JSON.stringify(mosquitto.mqtt)], { stdio: 'inherit' });
  await recorder.sees('lookout/garden/status', 'online');
  child.kill('SIGKILL');
  await recorder.sees('lookout/garden/status', 'offline');
});

test('while the broker is offline nothing grows but the outbox', async (t) => {
  const mosquitto = await broker(t);
  const one = await TestPublisher.start(t, { ...mosquitto.mqtt });
  await until('the connection', () => one.publisher.stats.connected);
  await mosquitto.stop();
  await until('the loss', () => !one.publisher.stats.connected);
  const picture = Buffer.alloc(100_000, 1);
  const day = () => {
    for (let i = 0; i < 2000; i++) {
      one.publisher.publishHealth(healthSample({ at: i }));
      one.publisher.publishSnapshot('drive', Buffer.from(picture));
      one.publisher.setLabel('drive', 'vehicle', i % 2 === 0);
      one.publisher.setInfo({ version: `${i}`, board: null, model: 'm', provider: 'cpu', cameras: [] });
      one.publisher.wake();
    }
  };
  day();
  await until('more attempts', () => one.log.withCode('MQTT_UNREACHABLE').length >= 3);
  const before = memoryInUse();
  day();
  await until('more attempts', () => one.log.withCode('MQTT_UNREACHABLE').length >= 5);
  // Memory is released a little after the collection.
  await until('2,000 pictures of 100 kB to be dropped, not kept', () => memoryInUse() - before < 2_000_000);
});

/** Bytes that are still referred to, after a garbage collection. */
function memoryInUse(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('topics of a removed camera and a removed label are cleared on the broker, and nothing else', async (t) => {
  const mosquitto = await broker(t);
  const recorder = await listen(t, mosquitto);
  const discovery = 'homeassistant/device/lookout_garden/config';
  const announced = new FakeAnnounced();
  const cameras = [
    { name: 'drive', labels: ['vehicle', 'cat'] },
    { name: 'cellar', labels: ['cat'] },
  ];
  const earlier = await TestPublisher.start(t, { ...mosquitto.mqtt }, { announced, cameras });
  earlier.publisher.publishSnapshot('cellar', Buffer.from('a picture'));
  earlier.publisher.publishSnapshot('drive', Buffer.from('the latest picture'));
  await recorder.sees('lookout/garden/drive/snapshot', 'the latest picture');
  await recorder.sees('lookout/garden/cellar/cat', 'OFF');
  await earlier.publisher.stop();
  // Topics of the same form from another publisher.
  const others = {
    'lookout/garden/attic/status': 'online',
    'lookout/garden/drive/zebra': 'ON',
    'lookout/garden/house/mode': 'night',
    'lookout/garage/cellar/status': 'online',
  };
  for (const [topic, payload] of Object.entries(others)) await recorder.publish(topic, payload, true);

  const one = await TestPublisher.start(t, { ...mosquitto.mqtt }, { announced });
  for (const topic of ['cellar/status', 'cellar/snapshot', 'cellar/cat', 'drive/cat'])
    await recorder.sees(`lookout/garden/${topic}`, '');
  const described = () => JSON.parse(recorder.last(discovery) ?? '{}') as Record<string, object>;
  await until('the entity to go', () => {
    const { components = {} } = described();
    return JSON.stringify(Reflect.get(components, 'cellar.label.cat')) === '{"platform":"binary_sensor"}';
  });
  await one.publisher.stop();
  const late = await listen(t, mosquitto, 'lookout/#');
  for (const [topic, payload] of Object.entries(others)) await late.sees(topic, payload);
  assert.equal(late.last('lookout/garden/drive/snapshot'), 'the latest picture');
  assert.equal(late.last('lookout/garden/drive/vehicle'), 'OFF');
  assert.equal(late.last('lookout/garden/cellar/status'), undefined);
  assert.ok(
    ![...announced.rows].some((row) => row.includes('cellar')),
    'a cleared topic is removed from the list',
  );

  // The card in another board, under another name: the topics of the first one are not its own.
  const copy = await TestPublisher.start(
    t,
    { ...mosquitto.mqtt },
    { announced, device: 'shed', cameras: [] },
  );
  await recorder.sees('lookout/shed/status', 'online');
  await copy.publisher.stop();
  const later = await listen(t, mosquitto, 'lookout/#');
  await later.sees('lookout/garden/drive/vehicle', 'OFF');
});

test('a description of another device on the discovery topic is ignored', async (t) => {
  const mosquitto = await broker(t);
  const recorder = await listen(t, mosquitto);
  const discovery = 'homeassistant/device/lookout_garden/config';
  const components = { 'cellar.label.cat': { platform: 'binary_sensor', unique_id: 'x' } };
  await recorder.publish(discovery, JSON.stringify({ device: { identifiers: ['other'] }, components }), true);
  const one = await TestPublisher.start(t, { ...mosquitto.mqtt });
  await recorder.sees('lookout/garden/status', 'online');
  await until('the description', () => recorder.last(discovery)?.includes('drive.label.vehicle') === true);
  await one.publisher.stop();
  assert.doesNotMatch(recorder.last(discovery)!, /cellar/);
});
