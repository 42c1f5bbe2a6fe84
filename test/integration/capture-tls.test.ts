/** Cameras behind TLS, with the real ffmpeg and certificates of an authority of our own. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { createSource } from '../../src/capture/create.ts';
import { sourceSchema } from '../../src/config/sources.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { FakeLog } from '../fakes/log.ts';
import { FakeSink } from '../fakes/sink.ts';
import { type Certificate, issue, makeCa } from '../support/certificates.ts';
import { requires } from '../support/requires.ts';
import { folder } from '../support/store.ts';

describe('a camera behind TLS', { skip: requires('ffmpeg') }, () => {
  let ca: Certificate;
  let port: number;
  const server = { close: () => {} };

  before(async () => {
    const files = folder();
    ca = makeCa(files, 'authority');
    const { cert, key } = issue(files, ca, 'camera', 'IP:127.0.0.1');
    const jpeg = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#ff0000' } })
      .jpeg()
      .toBuffer();
    const camera = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_, response) => {
      response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace; boundary=frame' });
      const timer = setInterval(() => {
        response.write(`--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${jpeg.length}\r\n\r\n`);
        response.write(jpeg);
        response.write('\r\n');
      }, 50);
      response.on('close', () => clearInterval(timer));
    });
    await new Promise<void>((resolve) => camera.listen(0, resolve));
    port = (camera.address() as AddressInfo).port;
    server.close = () => {
      camera.closeAllConnections();
      camera.close();
    };
  });
  after(() => server.close());

  /** Runs the camera until it has given two frames, or fails. */
  async function watch(settings: object, host = '127.0.0.1') {
    const log = new FakeLog();
    const config = sourceSchema.parse({
      kind: 'http',
      url: `https://joe:geheim@${host}:${port}/v`,
      ...settings,
    });
    const source = await createSource(config, { clock: systemClock, log: log.logger });
    const sink = new FakeSink();
    const abort = new AbortController();
    const run = source.run(sink, abort.signal);
    await Promise.race([sink.reaches(2), run]);
    abort.abort();
    await run;
    return log;
  }

  test('is rejected when no known authority signed its certificate', async () => {
    await assert.rejects(watch({}), {
      code: 'CAPTURE_DEVICE',
      message: /^https:\/\/127\.0\.0\.1:\d+\/…: certificate rejected: /,
      hint: /ca_file.*verify: false/,
    });
  });

  test('is accepted when its authority is configured', async () => {
    const log = await watch({ ca_file: ca.cert });
    assert.equal(log.text.includes('verify'), false);
  });

  test('is rejected when its certificate is for another host', async () => {
    await assert.rejects(watch({ ca_file: ca.cert }, 'localhost'), { code: 'CAPTURE_DEVICE' });
  });

  test('is not verified with verify: false, with a warning', async () => {
    const log = await watch({ verify: false });
    assert.match(log.text, /https:\/\/127\.0\.0\.1:\d+\/…: the certificate is not verified/);
    assert.ok(!log.text.includes('geheim'));
  });

  test('over RTSP is rejected unless verification is turned off', async () => {
    const rtsp = (settings: object) =>
      createSource(
        sourceSchema.parse({ kind: 'rtsp', url: 'rtsps://joe:geheim@cam.lan/live', ...settings }),
        {
          clock: systemClock,
          log: new FakeLog().logger,
        },
      );
    await assert.rejects(rtsp({}), {
      code: 'CAPTURE_ADDRESS',
      message: /^rtsps:\/\/cam\.lan\/…: ffmpeg cannot verify/,
      hint: /verify: false/,
    });
    await rtsp({ verify: false });
  });
});
