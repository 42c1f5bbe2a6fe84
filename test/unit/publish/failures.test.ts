import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookoutError } from '../../../src/errors.ts';
import { explain } from '../../../src/publish/failures.ts';
import { PacketRecorder } from '../../../src/publish/packets.ts';
import { ProtocolError, type Request } from '../../../src/publish/requests.ts';

const circumstances = { clientId: 'lookout_garden', brief: 0 };
const never = (reason: unknown) => ({ reason, up: false, open: [], answered: 0 });
const request = (topic: string, bytes: number): Request => ({
  ...{ topic, bytes, qos: 1, retain: false },
  message: { topic, payload: '', qos: 1, retain: false },
});
const failed = (code: string | number, message = 'x') => Object.assign(new Error(message), { code });

test('each failure has a code, a plain message and a hint', () => {
  for (const [reason, code, words] of [
    [failed('ECONNREFUSED'), 'MQTT_UNREACHABLE', /the connection was refused/],
    [failed('ENOTFOUND'), 'MQTT_UNREACHABLE', /host name is unknown/],
    [failed(4), 'MQTT_REFUSED', /user name or the password/],
    [failed(5), 'MQTT_REFUSED', /user name, the password or the client id lookout_garden/],
    [failed(134), 'MQTT_REFUSED', /user name or the password/],
    [failed(1), 'MQTT_VERSION', /does not support this version/],
    [failed(142), 'MQTT_DUPLICATE', /another client/],
    [failed('SELF_SIGNED_CERT_IN_CHAIN'), 'MQTT_TLS', /signed by an unknown CA/],
    [failed('CERT_HAS_EXPIRED'), 'MQTT_TLS', /expired/],
    [failed('ERR_TLS_CERT_ALTNAME_INVALID'), 'MQTT_TLS', /another host name/],
    [failed('ERR_SSL_WRONG_VERSION_NUMBER'), 'MQTT_TLS', /does not speak TLS/],
    [failed('ERR_SSL_SOMETHING_NEW', 'odd cipher'), 'MQTT_TLS', /odd cipher/],
    [new Error('connack timeout'), 'MQTT_UNREACHABLE', /does not answer/],
    [new Error('Keepalive timeout'), 'MQTT_UNREACHABLE', /no longer answers/],
    [null, 'MQTT_UNREACHABLE', /closes the connection before it answers/],
    [failed('ECONNRESET'), 'MQTT_UNREACHABLE', /closes the connection before it answers/],
    [new Error('surprise'), 'MQTT_UNREACHABLE', /surprise/],
    ['thrown text', 'MQTT_UNREACHABLE', /thrown text/],
    [
      new AggregateError([failed('ECONNREFUSED'), failed('ETIMEDOUT')]),
      'MQTT_UNREACHABLE',
      /the connection was refused/,
    ],
  ] as const) {
    const error = explain('mqtt://broker:1883', never(reason), circumstances);
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.match(error.message, /^MQTT broker mqtt:\/\/broker:1883: /);
    assert.ok((error.hint ?? '').length > 10);
  }
});

test('a LookoutError stays unchanged', () => {
  const error = new LookoutError('MQTT_CREDENTIALS_UNREADABLE', 'mqtt.password_file: gone');
  assert.equal(explain('mqtt://broker', never(error), circumstances), error);
});

test('when a broker closes the connection without a reason, the moment gives a hint', () => {
  const message = request('lookout/garden/status', 40);
  for (const reason of [null, failed('ECONNRESET'), failed('EPIPE')]) {
    const explained = (answered: number, open: Request[], brief = 1) =>
      explain('mqtt://broker', { reason, up: true, open, answered }, { ...circumstances, brief });
    assert.equal(explained(0, [message]).code, 'MQTT_FORBIDDEN');
    assert.match(
      explained(5, [message]).message,
      /while a message of 40 bytes on lookout\/garden\/status was in flight/,
    );
    assert.match(explained(5, [message, request('b', 900)]).message, /while 2 messages of up to 900 bytes/);
    assert.equal(explained(5, []).code, 'MQTT_UNREACHABLE');
    assert.equal(explained(5, [], 2).code, 'MQTT_DUPLICATE');
    assert.equal(
      explained(5, [message], 9).code,
      'MQTT_UNREACHABLE',
      'not another client: a message was in flight',
    );
    assert.equal(explained(0, []).code, 'MQTT_UNREACHABLE');
  }
  const given = { reason: failed(4), up: true, open: [], answered: 0 };
  const explained = explain('mqtt://broker', given, { ...circumstances, brief: 3 });
  assert.equal(explained.code, 'MQTT_REFUSED', 'a reason code takes precedence');
});

test('a refusal names the client id and what to do about it', () => {
  const clientId = 'lookout_a-long-name-of-a-device';
  for (const code of [2, 133]) {
    const error = explain('mqtt://broker', never(failed(code)), { clientId, brief: 0 });
    assert.equal(error.code, 'MQTT_REFUSED');
    assert.match(error.message, /refuses the client id lookout_a-long-name-of-a-device \(31 characters\)/);
    assert.match(error.hint!, /mqtt\.client_id.*23/);
  }
  for (const code of [5, 135]) {
    assert.match(explain('mqtt://broker', never(failed(code)), circumstances).hint!, /mqtt\.client_id/);
  }
});

test('an answer with an unknown code is shown unchanged', () => {
  const unknown = explain('mqtt://broker', never(failed(199)), circumstances);
  assert.match(unknown.message, /refuses the connection with reason code 199$/);
  const quota = Object.assign(failed(151), { reasonString: 'no more than 10 clients\u001b[2J' });
  assert.match(
    explain('mqtt://broker', never(quota), circumstances).message,
    /reason code 151 \(Quota exceeded\): "no more than 10 clients \[2J"/,
  );
  const explained = (complaint: string, ...bytes: number[]) => {
    const recorder = new PacketRecorder();
    recorder.add(Uint8Array.from(bytes));
    const reason = new ProtocolError(new Error(complaint), recorder.find(complaint), null);
    return explain('mqtt://broker', { reason, up: true, open: [], answered: 1 }, circumstances);
  };
  const puback = explained('Invalid puback reason code', 0xd0, 0, 0x40, 4, 0, 7, 0x95, 0);
  assert.equal(puback.code, 'MQTT_PROTOCOL');
  assert.match(
    puback.message,
    /answered with PUBACK with reason code 149 \(Packet too large\) \(bytes 40 04 00 07 95 00\)/,
  );
  assert.match(
    explained('Invalid header flag bits', ...Buffer.from('HTTP/1.1 400 Bad')).message,
    /"HTTP\/1\.1 400/,
  );
  assert.match(explained('x').message, /answered with x, which is not valid MQTT/);
});
