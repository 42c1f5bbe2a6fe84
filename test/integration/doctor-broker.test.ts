import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { checkBroker } from '../../src/doctor/check-broker.ts';
import { runChecks } from '../../src/doctor/run-checks.ts';
import { type Broker, type BrokerOptions, startBroker } from '../support/broker.ts';
import { issue, makeCa } from '../support/certificates.ts';
import { tempFolder } from '../support/daemon.ts';
import { freePort, Mosquitto } from '../support/mosquitto.ts';
import { TestPublisher } from '../support/publishing.ts';
import { Recorder } from '../support/recorder.ts';
import { requires } from '../support/requires.ts';

const skip = requires('mosquitto');

async function broker(t: TestContext, options?: BrokerOptions): Promise<Broker> {
  const one = await startBroker(options);
  t.after(() => one.remove());
  return one;
}

/** A broker with settings that only mosquitto has. */
async function mosquittoWith(t: TestContext, lines: string[]): Promise<Mosquitto> {
  const mosquitto = await Mosquitto.start({ lines });
  t.after(() => mosquitto.remove());
  return mosquitto;
}

/** The doctor's findings on a broker, without those on the configuration. */
async function findings(mqtt: Record<string, unknown>) {
  const folder = tempFolder();
  const file = join(folder, 'lookout.yaml');
  const cameras = { drive: { source: { kind: 'demo' } } };
  writeFileSync(file, stringify({ device: 'garden', cameras, mqtt }));
  const { findings } = await runChecks({ file, env: {}, checks: [['broker', checkBroker]] });
  return findings.slice(1);
}

const verdicts = (list: Awaited<ReturnType<typeof findings>>) => list.map(({ verdict }) => verdict).join(' ');

for (const version of [4, 5]) {
  test(`a broker that accepts everything passes, with MQTT ${version === 4 ? '3.1.1' : '5'}`, {
    skip: version === 5 && skip,
  }, async (t) => {
    const mosquitto = await broker(t);
    const found = await findings({ ...mosquitto.mqtt, version });
    assert.equal(verdicts(found), 'ok ok ok', JSON.stringify(found));
    assert.match(found[1]!.found, /accepts messages on 21 topics/);
  });
}

test('a running daemon stays connected, and no state changes', async (t) => {
  const mosquitto = await broker(t);
  const one = await TestPublisher.start(t, { ...mosquitto.mqtt });
  const recorder = await Recorder.connect(mosquitto.url, 'lookout/#');
  t.after(() => recorder.end());
  one.publisher.setLabel('drive', 'person', true);
  await recorder.sees('lookout/garden/drive/person', 'ON');
  await findings({ ...mosquitto.mqtt });
  assert.equal(one.publisher.stats.connections, 1);
  assert.ok(one.publisher.stats.connected);
  assert.equal(recorder.last('lookout/garden/drive/person'), 'ON');
  assert.equal(recorder.last('lookout/garden/status'), 'online');
  assert.equal(recorder.last('lookout/garden/drive/event'), '{"type":"test"}');
});

describe('a broker with access rules or limits', { skip }, () => {
  test('topics that the access rules forbid are named', async (t) => {
    const rules = join(tempFolder(), 'rules');
    const allowed = ['topic readwrite lookout/garden/#', 'topic deny lookout/garden/drive/event'];
    writeFileSync(rules, `${allowed.join('\n')}\n`);
    const mosquitto = await mosquittoWith(t, [`acl_file ${rules}`]);
    const found = await findings({ ...mosquitto.mqtt });
    const [, refused] = found;
    assert.equal(refused?.verdict, 'fail');
    assert.match(refused?.found ?? '', /lookout\/garden\/drive\/event \(.*[Nn]ot authorized\)/);
    assert.match(refused?.found ?? '', /homeassistant\/device\/lookout_garden\/config/);
    assert.doesNotMatch(refused?.found ?? '', /drive\/status/);
    assert.match(refused?.advice ?? '', /access rules/);
  });

  test('with MQTT 3.1.1, which cannot refuse, a message that does not come back is reported as doubtful', async (t) => {
    const rules = join(tempFolder(), 'rules');
    writeFileSync(rules, 'topic readwrite lookout/garden/#\ntopic write homeassistant/#\n');
    const mosquitto = await mosquittoWith(t, [`acl_file ${rules}`]);
    const [, doubtful] = await findings({ ...mosquitto.mqtt, version: 4 });
    assert.equal(doubtful?.verdict, 'warn');
    assert.match(
      doubtful?.found ?? '',
      /messages on 1 of 21 topics did not arrive, for example on homeassistant/,
    );
  });

  test('commands that the access rules block are detected', async (t) => {
    const rules = join(tempFolder(), 'rules');
    writeFileSync(rules, 'topic write lookout/#\ntopic write homeassistant/#\n');
    const mosquitto = await mosquittoWith(t, [`acl_file ${rules}`]);
    const found = await findings({ ...mosquitto.mqtt });
    assert.equal(verdicts(found), 'ok ok warn', JSON.stringify(found));
    assert.match(
      found[2]!.found,
      /a command sent to lookout\/garden\/doctor-test\/snapshot\/set did not arrive/,
    );
  });

  test('the limits of a broker are reported with their consequences', async (t) => {
    const lines = ['retain_available false', 'max_qos 0', 'max_packet_size 50000'];
    const limited = await mosquittoWith(t, lines);
    const found = (await findings({ url: limited.url })).map(({ found }) => found).join('\n');
    assert.match(found, /does not retain messages/);
    assert.match(found, /accepts only QoS 0/);
    assert.match(found, /accepts at most 50000 bytes per message/);
    assert.match(found, /accepts messages on \d+ topics/);
  });
});

test('a wrong password, an unknown certificate and a silent port have distinct messages', async (t) => {
  const folder = tempFolder();
  const password_file = join(folder, 'password');
  writeFileSync(password_file, 'wrong');
  const ca = makeCa(folder, 'house');
  const tls = issue(folder, ca, 'broker', 'IP:127.0.0.1');
  const [closed, secured] = await Promise.all([
    broker(t, { users: { garden: 'right' } }),
    broker(t, { tls }),
  ]);
  const [refused] = await findings({ ...closed.mqtt, username: 'garden', password_file });
  assert.match(
    refused?.found ?? '',
    /user name, the password or the client id lookout_garden-doctor \(MQTT_REFUSED\)/,
  );
  const untrusted = (await findings({ ...secured.mqtt })).at(-1)!;
  assert.match(untrusted.found, /signed by an unknown CA \(MQTT_TLS\)/);
  assert.match(untrusted.advice ?? '', /mqtt\.ca_file/);
  const trusted = await findings({ ...secured.mqtt, ca_file: ca.cert });
  assert.equal(verdicts(trusted), 'warn ok ok ok');
  assert.match(trusted[0]!.found, /certificate of the broker expires in [12] days/);
  const [unreachable] = await findings({ url: `mqtt://127.0.0.1:${await freePort()}` });
  assert.match(unreachable?.found ?? '', /the connection was refused \(MQTT_UNREACHABLE\)/);
});

test('a port of the embedded broker that is in use is detected', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const [taken] = await findings({ embedded_port: address.port });
  assert.equal(taken?.verdict, 'fail');
  assert.match(taken?.found ?? '', /EADDRINUSE/);
});
