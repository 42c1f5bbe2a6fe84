import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookoutError } from '../../../src/errors.ts';
import { explain } from '../../../src/publish/failures.ts';
import { Ear } from '../../../src/publish/packets.ts';
import { ProtocolError, type Request } from '../../../src/publish/requests.ts';

const circumstances = { clientId: 'lookout_garden', brief: 0 };
const never = (reason: unknown) => ({ reason, up: false, open: [], answered: 0 });
const request = (topic: string, bytes: number): Request => ({
  ...{ topic, bytes, qos: 1, retain: false },
  message: { topic, payload: '', qos: 1, retain: false },
});
const failed = (code: string | number, message = 'x') => Object.assign(new Error(message), { code });

test('each way to fail has a code, plain words and a hint', () => {
  for (const [reason, code, words] of [
    [failed('ECONNREFUSED'), 'MQTT_UNREACHABLE', /nothing listens there/],
    [failed('ENOTFOUND'), 'MQTT_UNREACHABLE', /host name is unknown/],
    [failed(4), 'MQTT_REFUSED', /user name or the password/],
    [failed(5), 'MQTT_REFUSED', /user name, the password or the client id lookout_garden/],
    [failed(134), 'MQTT_REFUSED', /user name or the password/],
    [failed(1), 'MQTT_VERSION', /does not speak this version/],
    [failed(142), 'MQTT_DUPLICATE', /another client/],
    [failed('SELF_SIGNED_CERT_IN_CHAIN'), 'MQTT_TLS', /signed by nobody known here/],
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
      /nothing listens/,
    ],
  ] as const) {
    const error = explain('mqtt://broker:1883', never(reason), circumstances);
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.match(error.message, /^MQTT broker mqtt:\/\/broker:1883: /);
    assert.ok((error.hint ?? '').length > 10);
  }
});

test('an error that explains itself stays as it is', () => {
  const error = new LookoutError('MQTT_CREDENTIALS_UNREADABLE', 'mqtt.password_file: gone');
  assert.equal(explain('mqtt://broker', never(error), circumstances), error);
});

test('when a broker ends a connection without a word, the moment tells something', () => {
  const message = request('lookout/garden/status', 40);
  for (const reason of [null, failed('ECONNRESET'), failed('EPIPE')]) {
    const told = (answered: number, open: Request[], brief = 1) =>
      explain('mqtt://broker', { reason, up: true, open, answered }, { ...circumstances, brief });
    assert.equal(told(0, [message]).code, 'MQTT_FORBIDDEN');
    assert.match(told(5, [message]).message, /while 40 bytes for lookout\/garden\/status were on their way/);
    assert.match(told(5, [message, request('b', 900)]).message, /while 2 messages of up to 900 bytes/);
    assert.equal(told(5, []).code, 'MQTT_UNREACHABLE');
    assert.equal(told(5, [], 2).code, 'MQTT_DUPLICATE');
    assert.equal(
      told(5, [message], 9).code,
      'MQTT_UNREACHABLE',
      'not another client: something was on its way',
    );
    assert.equal(told(0, []).code, 'MQTT_UNREACHABLE');
  }
  const given = { reason: failed(4), up: true, open: [], answered: 0 };
  const told = explain('mqtt://broker', given, { ...circumstances, brief: 3 });
  assert.equal(told.code, 'MQTT_REFUSED', 'a reason that was given counts more');
});

test('a refusal names the client id, and what to do about it', () => {
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

test('what a broker answers outside of all lists is told as it is', () => {
  const unknown = explain('mqtt://broker', never(failed(199)), circumstances);
  assert.match(unknown.message, /refuses the connection with reason code 199$/);
  const quota = Object.assign(failed(151), { said: 'no more than 10 clients\u001b[2J' });
  assert.match(
    explain('mqtt://broker', never(quota), circumstances).message,
    /reason code 151 \(Quota exceeded\): "no more than 10 clients \[2J"/,
  );
  const told = (complaint: string, ...bytes: number[]) => {
    const ear = new Ear();
    ear.hear(Uint8Array.from(bytes));
    const reason = new ProtocolError(new Error(complaint), ear.about(complaint), null);
    return explain('mqtt://broker', { reason, up: true, open: [], answered: 1 }, circumstances);
  };
  const puback = told('Invalid puback reason code', 0xd0, 0, 0x40, 4, 0, 7, 0x95, 0);
  assert.equal(puback.code, 'MQTT_PROTOCOL');
  assert.match(
    puback.message,
    /answered with PUBACK with reason code 149 \(Packet too large\) \(bytes 40 04 00 07 95 00\)/,
  );
  assert.match(
    told('Invalid header flag bits', ...Buffer.from('HTTP/1.1 400 Bad')).message,
    /"HTTP\/1\.1 400/,
  );
  assert.match(told('x').message, /answered with x, which/);
});
