import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookoutError } from '../../../src/errors.ts';
import { explain } from '../../../src/publish/failures.ts';

const never = { up: false, acknowledged: 0, brief: 0 };
const failed = (code: string | number, message = 'x') => Object.assign(new Error(message), { code });

test('each way to fail has a code, plain words and a hint', () => {
  for (const [reason, code, words] of [
    [failed('ECONNREFUSED'), 'MQTT_UNREACHABLE', /nothing listens there/],
    [failed('ENOTFOUND'), 'MQTT_UNREACHABLE', /host name is unknown/],
    [failed(4), 'MQTT_REFUSED', /user name or the password/],
    [failed(5), 'MQTT_REFUSED', /user name or the password/],
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
    const error = explain('mqtt://broker:1883', reason, never);
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.match(error.message, /^MQTT broker mqtt:\/\/broker:1883: /);
    assert.ok((error.hint ?? '').length > 10);
  }
});

test('an error that explains itself stays as it is', () => {
  const error = new LookoutError('MQTT_CREDENTIALS_UNREADABLE', 'mqtt.password_file: gone');
  assert.equal(explain('mqtt://broker', error, never), error);
});

test('when a broker ends a connection without a word, the moment tells something', () => {
  for (const reason of [null, failed('ECONNRESET')]) {
    const code = (acknowledged: number, brief: number) =>
      explain('mqtt://broker', reason, { up: true, acknowledged, brief }).code;
    assert.equal(code(0, 1), 'MQTT_FORBIDDEN');
    assert.equal(code(5, 1), 'MQTT_UNREACHABLE');
    assert.equal(code(5, 2), 'MQTT_DUPLICATE');
    assert.equal(code(5, 0), 'MQTT_UNREACHABLE');
  }
  const told = explain('mqtt://broker', failed(4), { up: true, acknowledged: 0, brief: 3 });
  assert.equal(told.code, 'MQTT_REFUSED', 'a reason that was given counts more');
});
