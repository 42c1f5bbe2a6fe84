import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressSecrets, redact } from '../../../src/platform/secrets.ts';

test('only the secret part of an address is hidden', () => {
  for (const [before, after] of [
    ['rtsp://admin:pw@cam.local:554/s?x=1', 'rtsp://***@cam.local:554/s?x=1'],
    ['rtsp://admin:p@ss:w@cam/s', 'rtsp://***@cam/s'],
    ['http://cam/?token=abc&size=2', 'http://cam/?token=***&size=2'],
    ['http://[fd00::1]:80/live: refused', 'http://[fd00::1]:80/live: refused'],
    ['(see rtsp://cam:554), then http://cam.', '(see rtsp://cam:554), then http://cam.'],
    ['mqtt://broker:1883 and a@b.example', 'mqtt://broker:1883 and a@b.example'],
    ['[rtsp @ 0x55] rtsp://cam/1: 404', '[rtsp @ 0x55] rtsp://cam/1: 404'],
    ['from https://a:b@c/d to https://e:f@g/h', 'from https://***@c/d to https://***@g/h'],
  ] as const) {
    assert.equal(redact(before), after);
  }
});

test('a password is hidden whatever characters it has', () => {
  for (const password of [
    ...[
      '2024/Garten7',
      '4711#Garten7',
      'a?b',
      'a\\b',
      'p@ss',
      'p:w',
      '50%off',
      'pä€ss',
      "it's",
      'a"b',
      'a<b>c',
    ],
    ...['my pass', '1 pass', 'a/b c', 'http://x', '%2F%40', '[x]', 'a,b;c', '?a=b&c=d', '//'],
  ]) {
    for (const host of ['cam.lan', '127.0.0.1:9', '[::1]:554']) {
      const clean = redact(`could not open rtsp://admin:${password}@${host}/stream: refused`);
      assert.ok(clean.endsWith(`@${host}/stream: refused`), clean);
      for (const part of [password, 'admin', ...password.split(/[\W]/)]) {
        assert.ok(part.length < 3 || part === 'http' || !clean.includes(part), `${part} in ${clean}`);
      }
    }
  }
});

test('parameters that hold a login are hidden, in queries, paths and arguments', () => {
  for (const [before, after] of [
    ['GET /cgi?user=admin&pwd=x,y;z&size=2', 'GET /cgi?user=***&pwd=***&size=2'],
    ['rtsp://cam:554/user=admin_password=tlJw_channel=1_stream=0.sdp?real', 'rtsp://cam:554/user=***'],
    ['rtsp://cam/user=admin&password=&channel=1', 'rtsp://cam/user=***&password=&channel=1'],
    ['?loginuse=a&loginpas=b&usr=c&psw=d', '?loginuse=***&loginpas=***&usr=***&psw=***'],
    ['rtspsrc user-id=admin user-pw="hush" latency=0', 'rtspsrc user-id=*** user-pw="***" latency=0'],
    ['?access_token=a&auth=b&api_key=c&apikey=d', '?access_token=***&auth=***&api_key=***&apikey=***'],
    ['width=640 height=480 fps=5', 'width=640 height=480 fps=5'],
  ] as const) {
    assert.equal(redact(before), after);
  }
});

test('the secrets of an address are found by its text alone', () => {
  const found = addressSecrets(' rtsp://joe:2024/G%40rten@cam/x?token=t0ken&channel=12\n');
  for (const secret of ['joe', '2024/G%40rten', '2024/G@rten', 't0ken']) {
    assert.ok(found.includes(secret), secret);
  }
  assert.ok(found.includes(Buffer.from('joe:2024/G@rten').toString('base64')), 'as HTTP sends it');
  assert.deepEqual(addressSecrets('no address'), []);
});
