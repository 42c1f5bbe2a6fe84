import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readAddress, redactor } from '../../../src/capture/camera-address.ts';
import { addressInput } from '../../../src/capture/concat.ts';
import { httpSource } from '../../../src/capture/http-source.ts';
import { sourceSchema } from '../../../src/config/sources.ts';
import type { LookoutError } from '../../../src/errors.ts';
import { publicAddress } from '../../../src/runtime/address.ts';
import { fakeContext, temporaryFolder } from '../../support/programs.ts';

const rtsp = (fields: object) =>
  sourceSchema.parse({ kind: 'rtsp', ...fields }) as Parameters<typeof readAddress>[0];
const address = new URL('rtsp://joe:p%40ss-word@cam.lan:554/stream?token=abc123&channel=1');

test('the camera URL is read from the setting or from a file, without the line end', async (t) => {
  const file = join(await temporaryFolder(t), 'address');
  await writeFile(file, 'rtsp://joe:secret@cam.lan/1\n');
  assert.equal((await readAddress(rtsp({ url: 'rtsp://cam.lan/1' }))).href, 'rtsp://cam.lan/1');
  assert.equal((await readAddress(rtsp({ url_file: file }))).password, 'secret');
});

test('an unreadable file is named', async () => {
  await assert.rejects(readAddress(rtsp({ url_file: '/nowhere/address' })), {
    code: 'CAPTURE_FILE',
    message: /url_file \/nowhere\/address cannot be read: ENOENT/,
  });
});

test('a file with a byte order mark, in UTF-16 or with empty lines around the address is read', async (t) => {
  const file = join(await temporaryFolder(t), 'address');
  for (const content of [
    '\ufeffrtsp://cam.lan/1\r\n',
    '\n rtsp://cam.lan/1 \n\n',
    Buffer.from('\ufeffrtsp://cam.lan/1\r\n', 'utf16le'),
  ]) {
    await writeFile(file, content);
    assert.equal((await readAddress(rtsp({ url_file: file }))).href, 'rtsp://cam.lan/1');
  }
});

test('a file with two URLs or with binary data is rejected, and its content is not repeated', async (t) => {
  const file = join(await temporaryFolder(t), 'address');
  for (const content of [
    'rtsp://me:geheim@cam.lan/1\nrtsp://me:geheim@cam.lan/2\n',
    Buffer.from('rtsp://me:gehe\xefm@cam.lan/1', 'latin1'),
    'rtsp://me:gehe\0im@cam.lan/1',
    'rtsp://me:2024/geheim@cam.lan/1',
  ]) {
    await writeFile(file, content);
    await assert.rejects(readAddress(rtsp({ url_file: file })), (error: LookoutError) => {
      assert.equal(error.code, 'CAPTURE_ADDRESS');
      assert.match(error.message, /address/);
      assert.doesNotMatch(`${error.message} ${error.hint} ${error.stack}`, /geh|im@|2024/);
      return true;
    });
  }
});

for (const url of [
  'cam.lan/1',
  'http://cam.lan/1',
  'rtsp://',
  'file:///etc/passwd',
  '',
  'rtsp://joe:p/w@cam.lan/1',
]) {
  test(`"${url}" is not a valid rtsp URL, and its password is not repeated`, async () => {
    await assert.rejects(readAddress(rtsp({ url })), (error: Error & { code: string }) => {
      assert.equal(error.code, 'CAPTURE_ADDRESS');
      assert.match(error.message, /^url: (expected|found) /);
      assert.ok(!error.message.includes('p/w'));
      return true;
    });
  });
}

test('the public form of a URL has neither user nor password nor query', () => {
  assert.equal(publicAddress(address), 'rtsp://cam.lan:554/…');
  assert.equal(publicAddress(new URL('http://cam/x')), 'http://cam/…');
});

test('secrets are removed from all output of a program, as written and as decoded', () => {
  const redact = redactor(address.href);
  for (const [said, clean] of [
    ['open rtsp://joe:p%40ss-word@cam.lan:554/stream failed', 'open rtsp://***@cam.lan:554/… failed'],
    ['the password p@ss-word is wrong', 'the password *** is wrong'],
    ['GET /stream?token=abc123&channel=1', 'GET /stream?***'],
    ['redirected to https://x:y@other/', 'redirected to https://***@other/'],
    ['nothing to hide', 'nothing to hide'],
  ] as const) {
    assert.equal(redact(said), clean);
  }
});

test('ffmpeg gets the address on its standard input, where no other user can read it', () => {
  const { args, stdin, redact } = addressInput(new URL("http://joe:it's@cam.lan/x?a=1"), ['-re'], {
    timeout: '5',
  });
  assert.deepEqual(args.slice(0, 1), ['-re']);
  assert.deepEqual(args.slice(-2), ['-i', 'pipe:0']);
  assert.doesNotMatch(args.join(' '), /joe|cam/);
  assert.equal(stdin, "file 'http://joe:it%27s@cam.lan/x?a=1'\noption timeout 5\n");
  assert.equal(redact?.('pipe:0: Connection refused'), 'http://cam.lan/…: Connection refused');
});

test('a stream may open neither files nor anything but the network', () => {
  const { args } = addressInput(new URL('http://cam/x'), []);
  const allowed = args[args.indexOf('-protocol_whitelist') + 1]?.split(',') ?? [];
  assert.ok(allowed.includes('https') && allowed.includes('tcp'));
  for (const protocol of ['file', 'concat', 'subfile', 'unix']) assert.ok(!allowed.includes(protocol));
});

test('the description of a source contains no secret', async () => {
  const config = sourceSchema.parse({ kind: 'http', url: 'http://joe:secret@cam.lan/v.mjpg?key=k3y' });
  const source = await httpSource(config as Parameters<typeof httpSource>[0], fakeContext());
  assert.equal(source.description, 'http://cam.lan/…, at most 640×480, 5 fps');
});
