import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Connection } from '../../src/publish/broker-connection.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { eventChange } from '../fakes/events.ts';
import { FakeLog } from '../fakes/log.ts';
import { startBroker } from '../support/broker.ts';
import { tempFolder } from '../support/daemon.ts';
import { freePort } from '../support/mosquitto.ts';
import { hurriedClock, TestPublisher } from '../support/publishing.ts';
import { Recorder } from '../support/recorder.ts';
import { until } from '../support/until.ts';

/** A server that passes its connections to a handler. */
async function server(
  t: TestContext,
  onSocket: (socket: Socket) => void,
): Promise<{ url: string; server: Server }> {
  const sockets = new Set<Socket>();
  const one = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => one.listen(port, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    one.close();
  });
  return { url: `mqtt://127.0.0.1:${port}`, server: one };
}

const CONNACK = Buffer.from([0x20, 0x02, 0x00, 0x00]);

/** Milliseconds that stop() takes. */
async function stopping(one: TestPublisher): Promise<number> {
  const start = performance.now();
  await one.publisher.stop();
  return performance.now() - start;
}

test('a broker that accepts the connection but never answers is given up and retried', async (t) => {
  let attempts = 0;
  const { url } = await server(t, (socket) => {
    attempts++;
    socket.resume();
  });
  const log = new FakeLog();
  const connection = new Connection({
    address: url,
    target: async () => ({ protocol: 'mqtt', host: '127.0.0.1', port: Number(new URL(url).port) }),
    clientId: 'garden',
    will: { topic: 't', payload: 'offline', qos: 1, retain: true },
    filters: [{ filter: 't/set' }],
    survey: [],
    keepalive: 30,
    timeout: 50,
    clock: hurriedClock,
    log: log.logger,
    random: () => 0,
    onUp: () => assert.fail('it never accepted the connection'),
    onDown: () => assert.fail('it never was up'),
    onMessage: () => {},
  });
  t.after(() => connection.stop(100));
  connection.start();
  await until('three attempts', () => attempts >= 3);
  assert.match(log.withCode('MQTT_UNREACHABLE')[0]!.msg, /accepts the connection but does not answer/);
  await assert.rejects(
    connection.publish({ topic: 't', payload: 'x', qos: 1, retain: false }),
    /no connection/,
  );
});

test('stop is quick while the broker does not answer, whatever is pending', async (t) => {
  const silent = await server(t, (socket) => socket.resume());
  const mute = await server(t, (socket) => {
    // Accepts the connection, answers nothing else, and never closes.
    socket.once('data', () => socket.write(CONNACK)).resume();
  });
  const deaf = await server(t, (socket) => {
    socket.once('data', () => {
      socket.write(CONNACK);
      socket.pause();
    });
  });
  const gone = `mqtt://127.0.0.1:${await freePort()}`;
  for (const url of [silent.url, mute.url, deaf.url, gone]) {
    const one = new TestPublisher({ url, version: 4 }, { clock: systemClock });
    await one.publisher.start();
    if (url === mute.url || url === deaf.url) await until('a yes', () => one.publisher.stats.connected);
    for (let i = 0; i < 100; i++) one.record(eventChange({ id: `e${i}` }));
    for (let i = 0; i < 50; i++) one.publisher.publishSnapshot('drive', Buffer.alloc(500_000, i));
    const took = await stopping(one);
    assert.ok(took < 1500, `${url === gone ? 'gone' : url}: ${Math.round(took)} ms`);
    assert.equal(one.outbox.rows.length, 100, 'nothing is lost');
  }
});

test('a broker that stops answering is detected, and events wait for it', async (t) => {
  const broker = await startBroker();
  t.after(() => broker.remove());
  const one = await TestPublisher.start(t, { ...broker.mqtt, keepalive: 1 });
  await until('the connection', () => one.publisher.stats.connected);
  broker.freeze(true);
  one.record(eventChange({ id: 'frozen' }));
  await until('the loss', () => !one.publisher.stats.connected);
  assert.match(one.log.withCode('MQTT_UNREACHABLE')[0]!.msg, /no longer answers/);
  assert.equal(one.outbox.rows.length, 1);
  broker.freeze(false);
  await until('the event to be accepted', () => one.outbox.rows.length === 0);
  const recorder = await Recorder.connect(broker.url);
  t.after(() => recorder.end());
  await recorder.sees('lookout/garden/status', 'online');
});

test('a broker that does not speak MQTT is disconnected and retried', async (t) => {
  let attempts = 0;
  const { url } = await server(t, (socket) => {
    attempts++;
    socket.once('data', () =>
      socket.write(attempts % 2 ? 'HTTP/1.1 400 Bad Request\r\n\r\n' : Buffer.alloc(100, 0xff)),
    );
  });
  const one = await TestPublisher.start(t, { url, version: 4 });
  await until('four attempts', () => attempts >= 4);
  assert.equal(one.publisher.stats.connections, 0);
});

test('an outage is one line per attempt, a second or more apart', async (t) => {
  const waits: number[] = [];
  const clock = {
    ...systemClock,
    after: (ms: number, callback: () => void) => {
      waits.push(ms);
      return systemClock.after(1, callback);
    },
  };
  const one = await TestPublisher.start(t, { url: `mqtt://127.0.0.1:${await freePort()}` }, { clock });
  await until('ten attempts', () => one.log.withCode('MQTT_UNREACHABLE').length >= 10);
  assert.deepEqual(waits.slice(0, 7), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  assert.match(one.log.lines[0]!.msg, /the connection was refused; retrying in 1 s$/);
});

test('a password that is sent unencrypted logs a warning, except within this machine', async (t) => {
  const folder = tempFolder();
  const password_file = join(folder, 'password');
  writeFileSync(password_file, 'hush');
  for (const [host, warned] of [
    ['192.0.2.1', true],
    ['127.0.0.1', false],
  ] as const) {
    const one = await TestPublisher.start(t, { url: `mqtt://${host}:1`, username: 'garden', password_file });
    assert.equal(one.log.text.includes('sent unencrypted'), warned, host);
    assert.doesNotMatch(one.log.text, /hush/);
  }
});
