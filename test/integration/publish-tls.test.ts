import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { MqttConfig } from '../../src/config/schema.ts';
import { eventChange } from '../fakes/events.ts';
import { type Broker, startBroker } from '../support/broker.ts';
import { issue, makeCa } from '../support/certificates.ts';
import { tempFolder } from '../support/daemon.ts';
import { freePort, Mosquitto, type MosquittoOptions } from '../support/mosquitto.ts';
import { TestPublisher } from '../support/publishing.ts';
import { requires } from '../support/requires.ts';
import { until } from '../support/until.ts';

const folder = tempFolder();

function certificates() {
  const ca = makeCa(folder, 'house-ca');
  const stranger = makeCa(folder, 'another-ca');
  return {
    ca,
    stranger,
    server: issue(folder, ca, 'broker', 'IP:127.0.0.1'),
    elsewhere: issue(folder, ca, 'elsewhere', 'DNS:elsewhere.example'),
    client: issue(folder, ca, 'garden', 'DNS:garden'),
    impostor: issue(folder, stranger, 'impostor', 'DNS:garden'),
  };
}
const pki = certificates();

async function broker(t: TestContext, tls: NonNullable<MosquittoOptions['tls']>): Promise<Broker> {
  const mosquitto = await startBroker({ tls });
  t.after(() => mosquitto.remove());
  return mosquitto;
}

/** Connects and publishes an event, or fails. */
async function publishes(t: TestContext, mqtt: Partial<MqttConfig>): Promise<void> {
  const one = await TestPublisher.start(t, mqtt);
  one.record(eventChange());
  await until('the event to be accepted', () => one.publisher.stats.published === 1);
}

async function refusal(t: TestContext, mqtt: Partial<MqttConfig>, code = 'MQTT_TLS') {
  const one = await TestPublisher.start(t, mqtt);
  await until(`${code} to be logged`, () => one.log.withCode(code).length > 0).catch((error: unknown) => {
    throw new Error(`${String(error)}; the log says:\n${one.log.text}`);
  });
  assert.equal(one.publisher.stats.connections, 0);
  return one.log.withCode(code)[0]!;
}

test('TLS works with a private CA', async (t) => {
  const mosquitto = await broker(t, pki.server);
  await publishes(t, { ...mosquitto.mqtt, ca_file: pki.ca.cert });
  await publishes(t, { ...mosquitto.mqtt, ca_file: pki.ca.cert, version: 4 });
});

test('a broker with an unknown CA is refused, with and without another CA configured', async (t) => {
  const mosquitto = await broker(t, pki.server);
  for (const ca of [{}, { ca_file: pki.stranger.cert }]) {
    const { msg, hint } = await refusal(t, { ...mosquitto.mqtt, ...ca });
    assert.match(msg, /certificate is signed by an unknown CA/);
    assert.match(hint!, /mqtt\.ca_file/);
  }
});

test('a broker with a certificate for another name is refused', async (t) => {
  const mosquitto = await broker(t, pki.elsewhere);
  const { msg } = await refusal(t, { ...mosquitto.mqtt, ca_file: pki.ca.cert });
  assert.match(msg, /certificate is for another host name/);
});

test('without verification any certificate works, and that is logged', async (t) => {
  const mosquitto = await broker(t, pki.elsewhere);
  const one = await TestPublisher.start(t, { ...mosquitto.mqtt, verify: false });
  await until('the connection', () => one.publisher.stats.connected);
  assert.match(one.log.text, /mqtt\.verify is false/);
});

test('a broker that requires a client certificate accepts the right one, and refuses none or another', {
  // Node.js closes the connection without the alert that other servers send.
  skip: requires('mosquitto'),
}, async (t) => {
  const mosquitto = await broker(t, { ...pki.server, clientCa: pki.ca.cert });
  const base = { ...mosquitto.mqtt, ca_file: pki.ca.cert };
  await publishes(t, { ...base, cert_file: pki.client.cert, key_file: pki.client.key });
  for (const files of [{}, { cert_file: pki.impostor.cert, key_file: pki.impostor.key }]) {
    const { msg, hint } = await refusal(t, { ...base, ...files });
    assert.match(msg, /refuses this client’s certificate/);
    assert.match(hint!, /mqtt\.cert_file/);
  }
});

test('if only one side uses TLS, the hint says so', async (t) => {
  const plain = await startBroker();
  t.after(() => plain.remove());
  const encrypted = await broker(t, pki.server);
  const tls = { ...plain.mqtt, url: `mqtts://127.0.0.1:${plain.port}`, ca_file: pki.ca.cert };
  assert.match((await refusal(t, tls, 'MQTT_UNREACHABLE')).hint!, /the port speaks TLS/);
  const bare = { ...plain.mqtt, url: `mqtt://127.0.0.1:${encrypted.port}` };
  assert.match((await refusal(t, bare, 'MQTT_UNREACHABLE')).hint!, /its port expects TLS/);
});

test('a broker at an IPv6 address is reachable over every protocol, bypassing proxies of the environment', {
  skip: requires('mosquitto'),
}, async (t) => {
  const ports = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const { cert, key } = issue(folder, pki.ca, 'loopback', 'IP:::1');
  const tls = [`certfile ${cert}`, `keyfile ${key}`];
  const lines = [
    ...[`listener ${ports[0]} ::1`],
    ...[`listener ${ports[1]} ::1`, ...tls],
    ...[`listener ${ports[2]} ::1`, 'protocol websockets'],
    ...[`listener ${ports[3]} ::1`, 'protocol websockets', ...tls],
  ];
  const mosquitto = await Mosquitto.start({ lines });
  t.after(() => mosquitto.remove());
  const before = { ...process.env };
  t.after(() => {
    process.env = before;
  });
  const nowhere = `http://127.0.0.1:${await freePort()}`;
  for (const name of ['http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'])
    process.env[name] = nowhere;
  for (const [i, protocol] of ['mqtt', 'mqtts', 'ws', 'wss'].entries()) {
    const ca = protocol.endsWith('s') && protocol !== 'ws' ? { ca_file: pki.ca.cert } : {};
    await publishes(t, { url: `${protocol}://[::1]:${ports[i]}`, ...ca });
  }
});
