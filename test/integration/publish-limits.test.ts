/** Brokers with limits in their settings. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import mqttPacket, { type Packet } from 'mqtt-packet';
import sharp from 'sharp';
import type { MqttConfig } from '../../src/config/schema.ts';
import { eventChange } from '../fakes/events.ts';
import { startBroker } from '../support/broker.ts';
import { freePort, Mosquitto } from '../support/mosquitto.ts';
import { TestPublisher } from '../support/publishing.ts';
import { Recorder } from '../support/recorder.ts';
import { requires } from '../support/requires.ts';
import { until } from '../support/until.ts';

const skip = requires('mosquitto');
const SNAPSHOT = 'lookout/garden/drive/snapshot';
const EVENTS = 'lookout/garden/drive/event';

/** A broker with a setting, and a recorder at another port, where the limits of a port do not apply. */
async function limited(t: TestContext, ...lines: string[]) {
  const port = await freePort();
  const broker = await Mosquitto.start({ lines: [...lines, `listener ${port} 127.0.0.1`] });
  t.after(() => broker.remove());
  const recorder = await Recorder.connect(`mqtt://127.0.0.1:${port}`, '#', { protocolVersion: 5 });
  t.after(() => recorder.end());
  const start = (mqtt: Partial<MqttConfig>) => TestPublisher.start(t, { url: broker.url, ...mqtt });
  return { broker, recorder, start };
}

/** An image that does not compress well. */
function picture(width: number): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 60 } as const;
  return sharp({ create: { width, height: width, channels: 3, background: 'grey', noise } })
    .jpeg({ quality: 85 })
    .toBuffer();
}

/** Limits are learnt without misleading messages about the URL, the access rules or another client. */
function assertBlamesNothing({ log }: TestPublisher): void {
  const codes = log.lines.map(({ code }) => code).filter((code) => code !== undefined);
  assert.deepEqual([...new Set(codes)], ['MQTT_LIMITED']);
}

describe('a broker with limits', { skip }, () => {
  for (const version of [4, 5] as const) {
    describe(`an MQTT ${version} broker`, () => {
      test('a snapshot over its limit is made smaller, and nothing else suffers', async (t) => {
        const { recorder, start } = await limited(t, 'max_packet_size 60000');
        const one = await start({ version });
        await recorder.sees('lookout/garden/status', 'online');
        const large = await picture(400);
        assert.ok(large.length > 60_000, `${large.length} bytes`);
        one.publisher.publishSnapshot('drive', large);
        for (let i = 0; i < 5; i++) one.record(eventChange({ id: `e${i}` }));
        await until('the picture', () => recorder.last(SNAPSHOT) !== undefined);
        const [sent] = recorder.messages.filter(({ topic }) => topic === SNAPSHOT);
        assert.ok(sent!.payload.length < 60_000);
        assert.equal((await sharp(sent!.payload).metadata()).format, 'jpeg');
        await until('the events', () => one.outbox.rows.length === 0);
        const { connections } = one.publisher.stats;
        assert.ok(connections <= (version === 4 ? 4 : 1), `${connections} connections`);
        // The next snapshot needs no new connection.
        one.publisher.publishSnapshot('drive', await picture(420));
        await until('the next picture', () => recorder.texts(SNAPSHOT).length > 1);
        assert.equal(one.publisher.stats.connections, connections);
        assert.deepEqual(one.log.withCode('MQTT_DUPLICATE'), []);
        assert.match(
          one.log.text,
          /snapshot is published smaller: \d+ bytes reduced to \d+: the broker accepts no more than \d+/,
        );
      });

      test(`an MQTT ${version} broker without retained messages is used, and that is logged once`, async (t) => {
        const { recorder, start } = await limited(t, 'retain_available false');
        const one = await start({ version });
        await recorder.sees('lookout/garden/status', 'online');
        one.publisher.setLabel('drive', 'vehicle', true);
        one.record(eventChange());
        await recorder.sees('lookout/garden/drive/vehicle', 'ON');
        await until('the event', () => recorder.last(EVENTS) !== undefined);
        assert.equal(
          one.log
            .withCode('MQTT_LIMITED')
            .filter(({ msg }) => /does not support retained messages:/.test(msg)).length,
          1,
        );
        // Home Assistant has missed everything published before it started.
        const before = recorder.texts('lookout/garden/drive/vehicle').length;
        await recorder.publish('homeassistant/status', 'online');
        await until('the state again', () => recorder.texts('lookout/garden/drive/vehicle').length > before);
        await one.publisher.stop();
        assert.equal(one.announced.rows.size, 0, 'nothing is retained there');
        assertBlamesNothing(one);
      });

      test(`an MQTT ${version} broker with QoS 0 only is used, and the consequences are logged`, async (t) => {
        const { recorder, start } = await limited(t, 'max_qos 0');
        const one = await start({ version });
        await recorder.sees('lookout/garden/status', 'online');
        for (let i = 0; i < 50; i++) one.record(eventChange({ id: `e${i}` }));
        await until('the events', () => one.outbox.rows.length === 0);
        await until('all of them', () => recorder.texts(EVENTS).length === 50);
        const ids = recorder.texts(EVENTS).map((text) => (JSON.parse(text) as { id: string }).id);
        assert.deepEqual(
          ids,
          Array.from({ length: 50 }, (_, i) => `e${i}`),
        );
        assert.equal(
          one.log.withCode('MQTT_LIMITED').filter(({ msg }) => /supports QoS 0 only/.test(msg)).length >= 1,
          true,
        );
        await recorder.publish('lookout/garden/drive/snapshot/set', 'PRESS');
        await until('a command', () => one.commands.length === 1);
        assertBlamesNothing(one);
      });
    });
  }

  test('an event that is too large loses its reason, then its snapshot; if it still does not fit it is dropped and counted', async (t) => {
    const { recorder, start } = await limited(t, 'max_packet_size 520');
    const one = await start({ version: 5, discovery: '' });
    await recorder.sees('lookout/garden/status', 'online');
    const reason = {
      scores: Array(60).fill(0.5),
      threshold: 0.6,
      hits: 2,
      window: 60,
      gate: 'motion',
    } as const;
    one.record(eventChange({ id: 'long', reason: { ...reason, scores: [...reason.scores] } }));
    one.record(eventChange({ id: 'hopeless', label: 'x'.repeat(900) }));
    one.record(eventChange({ id: 'after' }));
    await until('the outbox to be empty', () => one.outbox.rows.length === 0);
    const published = recorder
      .texts(EVENTS)
      .map((text) => JSON.parse(text) as { id: string; reason: unknown });
    assert.deepEqual(
      published.map(({ id }) => id),
      ['long', 'after'],
    );
    assert.equal(published[0]!.reason, null);
    assert.equal(one.outbox.undeliverable, 1);
    assert.match(
      one.log.text,
      /dropped an event of \d+ bytes on topic .*: the broker accepts no more than 520 bytes/,
    );
    assert.equal(one.publisher.stats.connections, 1);
  });

  test('an MQTT 3.1.1 broker with a small limit gets smaller events, and the outbox continues', async (t) => {
    const { recorder, start } = await limited(t, 'max_packet_size 350');
    const one = await start({ version: 4, discovery: '' });
    await recorder.sees('lookout/garden/status', 'online');
    for (let i = 0; i < 3; i++) one.record(eventChange({ id: `e${i}` }));
    await until('the outbox to be empty', () => one.outbox.rows.length === 0);
    const published = recorder
      .texts(EVENTS)
      .map((text) => JSON.parse(text) as { id: string; reason: unknown });
    t.diagnostic(`${one.publisher.stats.connections} connections`);
    assert.deepEqual(
      published.map(({ id, reason }) => [id, reason]),
      [0, 1, 2].map((i) => [`e${i}`, null]),
    );
    assert.equal(one.outbox.undeliverable, 0);
    assert.deepEqual(one.log.withCode('MQTT_DUPLICATE'), []);
  });

  test('an answer that the codec does not know is logged, and its message is made smaller', async (t) => {
    // This setting answers with PUBACK and a reason code that MQTT 5 has for other packets only.
    const { recorder, start } = await limited(t, 'message_size_limit 330');
    const one = await start({ version: 5, discovery: '' });
    await recorder.sees('lookout/garden/status', 'online');
    one.record(eventChange({ id: 'a' }));
    await until('the outbox to be empty', () => one.outbox.rows.length === 0);
    await until('the event', () => recorder.last(EVENTS) !== undefined);
    assert.equal((JSON.parse(recorder.last(EVENTS)!) as { reason: unknown }).reason, null);
    assert.doesNotMatch(one.log.text, /check that the broker runs/i);
    assert.match(one.log.text, /too large/);
  });

  test('a broker that accepts one message at a time gets one at a time', async (t) => {
    const { recorder, start } = await limited(t, 'max_inflight_messages 1');
    const one = await start({ version: 5 });
    for (let i = 0; i < 30; i++) one.record(eventChange({ id: `e${i}` }));
    await until('all of them', () => recorder.texts(EVENTS).length === 30);
    assert.equal(one.publisher.stats.connections, 1);
  });

  test('a broker that accepts certain client ids only is distinguished from a wrong password', async (t) => {
    const broker = await Mosquitto.start({ lines: ['clientid_prefixes house-'] });
    t.after(() => broker.remove());
    for (const version of [4, 5] as const) {
      const refused = await TestPublisher.start(t, { url: broker.url, version });
      await until('the refusal', () => refused.log.withCode('MQTT_REFUSED').length > 0);
      assert.match(refused.log.withCode('MQTT_REFUSED')[0]!.hint!, /mqtt\.client_id/);
      const taken = await TestPublisher.start(t, { url: broker.url, version, client_id: `house-${version}` });
      await until('the connection', () => taken.publisher.stats.connected);
    }
  });
});

test('two devices whose names join to the same letters do not disconnect each other', async (t) => {
  const broker = await startBroker();
  t.after(() => broker.remove());
  const pairs = [
    ['a_b', 'c'],
    ['a', 'b_c'],
    ['a-b', 'c'],
    ['a', 'b-c'],
  ] as const;
  const all: TestPublisher[] = [];
  for (const [base, device] of pairs) {
    all.push(await TestPublisher.start(t, { ...broker.mqtt, base }, { device }));
  }
  await until('all of them', () => all.every(({ publisher }) => publisher.stats.connected));
  for (const one of all) one.record(eventChange());
  await until('their events', () => all.every(({ outbox }) => outbox.rows.length === 0));
  assert.ok(all.every(({ publisher }) => publisher.stats.connections === 1));
});

/** An MQTT 5 broker with scripted answers; by default it accepts everything. */
async function scripted(t: TestContext, answer: (packet: Packet) => Packet | Buffer | null | undefined) {
  const heard: Packet[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    parser.on('packet', (packet) => {
      heard.push(packet);
      const said = answer(packet) ?? usual(packet);
      if (said)
        socket.write(Buffer.isBuffer(said) ? said : mqttPacket.generate(said, { protocolVersion: 5 }));
    });
    socket.on('data', (chunk) => parser.parse(chunk));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { heard, url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function usual(packet: Packet): Packet | null {
  if (packet.cmd === 'connect') return { cmd: 'connack', reasonCode: 0, sessionPresent: false };
  if (packet.cmd === 'publish' && packet.qos === 1)
    return { cmd: 'puback', messageId: packet.messageId!, reasonCode: 0 };
  if (packet.cmd === 'subscribe')
    return { cmd: 'suback', messageId: packet.messageId!, granted: packet.subscriptions.map(() => 0) };
  return packet.cmd === 'pingreq' ? { cmd: 'pingresp' } : null;
}

const subscribed = (heard: Packet[]) =>
  heard.flatMap((packet) =>
    packet.cmd === 'subscribe' ? packet.subscriptions.map(({ topic }) => topic) : [],
  );

test('a broker without wildcards gets one subscription per command', async (t) => {
  for (const announces of [true, false]) {
    const { heard, url } = await scripted(t, (packet) => {
      if (packet.cmd === 'connect' && announces) {
        const properties = { wildcardSubscriptionAvailable: false };
        return { cmd: 'connack', reasonCode: 0, sessionPresent: false, properties };
      }
      const refuses =
        packet.cmd === 'subscribe' && packet.subscriptions.some(({ topic }) => topic.includes('+'));
      return refuses ? { cmd: 'suback', messageId: packet.messageId!, granted: [0xa2] } : null;
    });
    const one = await TestPublisher.start(t, { url, version: 5 });
    await until(
      'all commands',
      () => subscribed(heard).filter((topic) => topic.endsWith('/set')).length >= 10,
    );
    const commands = new Set(subscribed(heard));
    for (const topic of ['drive/enabled', 'drive/snapshot', 'porch/threshold']) {
      assert.ok(commands.has(`lookout/garden/${topic}/set`), topic);
    }
    assert.equal(commands.has('lookout/garden/+/+/set'), !announces);
    assert.deepEqual(one.log.withCode('MQTT_FORBIDDEN'), []);
  }
});

test('refused subscriptions are named, and everything else continues', async (t) => {
  const { url } = await scripted(t, (packet) =>
    packet.cmd === 'subscribe' ? { cmd: 'suback', messageId: packet.messageId!, granted: [0x80] } : null,
  );
  const one = await TestPublisher.start(t, { url, version: 5, discovery: '' });
  await until('the complaint', () => one.log.withCode('MQTT_FORBIDDEN').length > 0);
  one.record(eventChange());
  await until('the event', () => one.outbox.rows.length === 0);
  assert.equal(one.log.withCode('MQTT_FORBIDDEN').length, 1);
});

test('an unexpected answer of a broker is logged with its reason string', async (t) => {
  for (const [answer, words] of [
    [
      { cmd: 'connack', reasonCode: 0xc7, sessionPresent: false },
      /refuses the connection with reason code 199/,
    ],
    [
      {
        ...{ cmd: 'connack', reasonCode: 151, sessionPresent: false },
        properties: { reasonString: 'two devices a house' },
      },
      /reason code 151 \(Quota exceeded\): "two devices a house"/,
    ],
    // A property that does not exist.
    [Buffer.from([0x20, 5, 0, 0, 2, 0x7f, 1]), /answered with CONNACK .*bytes 20 05 00 00 02 7f 01/],
    [Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), /answered with "SSH-2\.0-Open"/],
  ] as [Packet | Buffer, RegExp][]) {
    const { url } = await scripted(t, (packet) => (packet.cmd === 'connect' ? answer : null));
    const one = await TestPublisher.start(t, { url, version: 5 });
    await until('the log line', () => one.log.lines.some(({ msg }) => words.test(msg)));
    await one.publisher.stop();
  }
});

test('a QoS 0 event is published again if the connection ends before the ping after it is answered', async (t) => {
  let deaf = true;
  const { heard, url } = await scripted(t, (packet) => {
    if (packet.cmd === 'connect')
      return { cmd: 'connack', reasonCode: 0, sessionPresent: false, properties: { maximumQoS: 0 } };
    const isEvent = heard.some((one) => one.cmd === 'publish' && one.topic === EVENTS);
    return deaf && packet.cmd === 'pingreq' && isEvent ? Buffer.alloc(0) : null;
  });
  const one = await TestPublisher.start(t, { url, version: 5, discovery: '', keepalive: 1 });
  one.record(eventChange({ id: 'once' }));
  await until('the loss of the connection', () => one.log.withCode('MQTT_UNREACHABLE').length > 0);
  assert.equal(one.outbox.rows.length, 1, 'it may be lost');
  deaf = false;
  await until('the event to be accepted', () => one.outbox.rows.length === 0);
  const events = heard.filter((packet) => packet.cmd === 'publish' && packet.topic === EVENTS);
  assert.ok(events.length >= 2);
});
