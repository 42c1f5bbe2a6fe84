import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressSecrets, redact, redactLogin } from '../../../src/runtime/secrets.ts';

test('of an address scheme, host and port are shown', () => {
  for (const [before, after] of [
    ['rtsp://admin:pw@cam.local:554/s?x=1', 'rtsp://***@cam.local:554/…'],
    ['rtsp://admin:p@ss:w@cam/s', 'rtsp://***@cam/…'],
    ['http://cam/?token=abc&size=2', 'http://cam/…'],
    ['http://cam?abc', 'http://cam/…'],
    ['found "rtsp:/cam/AbCd"', 'found "rtsp:/cam/…"'],
    ['rtsp://cam,/AbCd', 'rtsp://cam,/…'],
    ['→rtsp://cam/AbCd', '→rtsp://cam/…'],
    ['http://[fd00::1]:80/live: refused', 'http://[fd00::1]:80/…: refused'],
    ['(see rtsp://cam:554), then http://cam.', '(see rtsp://cam:554), then http://cam.'],
    ["Opening 'https://nvr/AbCd/1.ts' for reading", "Opening 'https://nvr/…' for reading"],
    ['mqtt://broker:1883 and a@b.example', 'mqtt://broker:1883 and a@b.example'],
    ['mqtt://broker:1883/ and / or', 'mqtt://broker:1883/ and / or'],
    ['[rtsp @ 0x55] rtsp://cam/1: 404', '[rtsp @ 0x55] rtsp://cam/…: 404'],
    ['from https://a:b@c/d to https://e:f@g/h', 'from https://***@c/… to https://***@g/…'],
    ['rtspsrc location=rtsp://cam/AbCd latency=0', 'rtspsrc location=rtsp://cam/… latency=0'],
    ['{"url":"rtsp://cam/AbCd","fps":5}', '{"url":"rtsp://cam/…","fps":5}'],
    ['at file:///opt/lookout/src/cli.ts:10:5', 'at file:///opt/lookout/src/cli.ts:10:5'],
  ] as const) {
    assert.equal(redact(before), after);
    assert.equal(redact(after), after, 'once is enough');
  }
});

test('a secret in path or query is hidden whatever its shape and the scheme of the address', () => {
  for (const scheme of ['rtsp', 'rtsps', 'RTSP', 'rtmp', 'http', 'https', 'ws', 'wss', 'mqtt', 'srt']) {
    for (const place of [
      ...[
        ':7441/AbCdEf0123456789',
        ':7441/AbCdEf0123456789?enableSrtp',
        '/AbCdEf0123456789/live',
        '/x/AbCdEf0123456789',
      ],
      ...[
        '/live;AbCdEf0123456789',
        '?AbCdEf0123456789',
        '/?AbCdEf0123456789',
        '/s?k=AbCdEf0123456789&x=1',
        '/s?a/AbCdEf0123456789',
      ],
      ...[
        '/~AbCdEf0123456789',
        '/%41AbCdEf0123456789',
        '//AbCdEf0123456789',
        '/x#AbCdEf0123456789',
        '\\AbCdEf0123456789',
      ],
      ...[
        '/AbCdEf0123456789:1',
        '/(AbCdEf0123456789)',
        '/a,AbCdEf0123456789',
        '/a"AbCdEf0123456789',
        "/a'AbCdEf0123456789",
      ],
    ]) {
      for (const text of [
        `${scheme}://cam${place}`,
        `could not open ${scheme}://cam${place}: refused`,
        `"${scheme}://cam${place}"`,
        `<${scheme}://joe:pw@cam${place}>, again`,
      ]) {
        const clean = redact(text);
        assert.doesNotMatch(clean, /AbCd|0123/, text);
        assert.match(clean, /cam/, 'the host is shown');
      }
    }
  }
});

test('addresses of downloads keep their paths, and lose their logins', () => {
  assert.equal(
    redactLogin('https://joe:pw@models.example/a/b.tflite?token=abc'),
    'https://***@models.example/a/b.tflite?token=***',
  );
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
      assert.ok(clean.endsWith(`@${host}/…: refused`), clean);
      for (const part of [password, 'admin', ...password.split(/[\W]/)]) {
        assert.ok(part.length < 3 || part === 'http' || !clean.includes(part), `${part} in ${clean}`);
      }
    }
  }
});

test('parameters that hold a login are hidden, in queries, paths and arguments', () => {
  for (const [before, after] of [
    ['GET /cgi?user=admin&pwd=x,y;z&size=2', 'GET /cgi?user=***&pwd=***&size=2'],
    ['/user=admin_password=tlJw_channel=1_stream=0.sdp?real', '/user=***'],
    ['/user=admin&password=&channel=1', '/user=***&password=&channel=1'],
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
  const inPath = addressSecrets('rtsps://nvr:7441/live/AbCdEf0123456789');
  for (const secret of ['live/AbCdEf0123456789', 'AbCdEf0123456789']) {
    assert.ok(inPath.includes(secret), secret);
  }
  for (const plain of ['rtsp://nvr/1', 'rtsp://nvr/stream', 'rtsp://nvr/Channel']) {
    assert.deepEqual(addressSecrets(plain), [], 'programs use these words themselves');
  }
});
