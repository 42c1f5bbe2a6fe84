/** Cameras over HTTP: single frames, streams, and answers that are neither, with the real ffmpeg. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { createSource } from '../../src/capture/create.ts';
import { sourceSchema } from '../../src/config/sources.ts';
import type { LookoutError } from '../../src/errors.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import {
  type Answer,
  type FakeHttpCamera,
  guarded,
  jpeg,
  sendStill,
  sendStream,
  startHttpCamera,
} from '../fakes/http-camera.ts';
import { FakeLog } from '../fakes/log.ts';
import { FakeSink } from '../fakes/sink.ts';
import { temporaryFolder } from '../support/programs.ts';
import { requires } from '../support/requires.ts';

const skip = requires('ffmpeg');
const SECRET = 'geh3im';

/** Waits pass 20 times as fast. */
const hurriedClock: Clock = {
  ...systemClock,
  after: (ms, callback) => systemClock.after(ms / 20, callback),
};

interface Options {
  env?: NodeJS.ProcessEnv;
  clock?: Clock;
  log?: FakeLog;
}

/** A source that runs until it has given `frames` or ends by itself. */
async function capture(config: object, frames = Number.POSITIVE_INFINITY, options: Options = {}) {
  const { env = process.env, clock = systemClock, log = new FakeLog() } = options;
  const source = await createSource(sourceSchema.parse(config), { clock, log: log.logger, env });
  const sink = new FakeSink();
  const abort = new AbortController();
  const run = source.run(sink, abort.signal);
  await Promise.race([sink.reaches(frames), run]);
  abort.abort();
  await run;
  assert.equal(sink.out.size, 0, 'every buffer is handed over or given back');
  return { sink, log };
}

/** Why a source cannot be used; nothing of a password is in it. */
async function refusal(config: object, options: Options = {}): Promise<LookoutError> {
  const log = new FakeLog();
  const error = await capture(config, Number.POSITIVE_INFINITY, { ...options, log }).then(
    () => assert.fail('it ended without an error'),
    (thrown: unknown) => thrown as LookoutError,
  );
  assert.doesNotMatch(`${error.message} ${error.hint} ${log.text}`, new RegExp(SECRET));
  assert.ok(error.hint, `${error.code}: ${error.message} has a hint`);
  return error;
}

const camera = (port: number, path = '/', settings: object = {}) => ({
  kind: 'http',
  url: `http://127.0.0.1:${port}${path}`,
  fps: 20,
  ...settings,
});

test('a still is requested at the configured rate, on one connection', async (t) => {
  const frame = await jpeg();
  const there = await startHttpCamera(t, (_, response) => sendStill(response, frame));
  const start = performance.now();
  const { sink } = await capture(camera(there.port, '/snap.jpg', { fps: 10 }), 8);
  const elapsed = performance.now() - start;
  assert.deepEqual(sink.frames[0]?.format, { width: 640, height: 360, pixels: 'rgb24', colour: 'jpeg' });
  assert.equal(there.connections, 1);
  assert.ok(there.requests.length <= 9, `${there.requests.length} requests for 8 frames`);
  assert.ok(elapsed > 650, `8 frames of 10 a second took ${elapsed} ms`);
});

test('a still without a length, in chunks, of another format or behind a redirect is also polled', async (t) => {
  const frame = await jpeg();
  const answers: Record<string, Answer> = {
    '/chunked': (_, response) => {
      response.writeHead(200, { 'content-type': 'image/jpeg' });
      response.write(frame.subarray(0, 700));
      response.end(frame.subarray(700));
    },
    '/closed': (request) => {
      request.socket.end(
        Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n'), frame]),
      );
    },
    '/moved': (_, response) => void response.writeHead(302, { location: '/chunked' }).end(),
  };
  const there = await startHttpCamera(t, (request, response) =>
    answers[request.url ?? '']?.(request, response),
  );
  for (const path of ['/chunked', '/closed', '/moved']) {
    const { sink } = await capture(camera(there.port, path), 3);
    assert.equal(sink.frames[2]?.format.width, 640, path);
  }
});

test('a camera that sometimes serves no still is not restarted for it', async (t) => {
  const frame = await jpeg();
  let count = 0;
  const there = await startHttpCamera(t, (request, response) => {
    count++;
    if (count % 4 === 2) response.writeHead(503).end();
    else if (count % 4 === 3) request.socket.destroy();
    else sendStill(response, frame);
  });
  const { sink } = await capture(camera(there.port), 5);
  assert.ok(sink.faults.length > 0);
  assert.match(sink.faults.join('\n'), /503 Service Unavailable/);
});

for (const algorithm of [null, 'MD5', 'SHA-256'] as const) {
  const scheme = algorithm === null ? 'Basic' : `Digest with ${algorithm}`;
  test(`a still behind ${scheme} is polled, and a wrong password is sent once per attempt`, async (t) => {
    const frame = await jpeg();
    const there: FakeHttpCamera = await startHttpCamera(
      t,
      guarded(
        () => there,
        ['joe', SECRET],
        algorithm,
        (_, response) => sendStill(response, frame),
      ),
    );
    const right = { url: `http://joe:${SECRET}@127.0.0.1:${there.port}/snap?a=1` };
    await capture(camera(there.port, '', right), 4);
    assert.equal(there.refused, 0);
    assert.equal(there.connections, 1);

    const wrong = { url: `http://joe:${SECRET}X@127.0.0.1:${there.port}/snap?a=1` };
    const error = await refusal(camera(there.port, '', wrong));
    assert.equal(error.code, 'CAPTURE_REFUSED');
    assert.match(error.message, /rejects the user or password \(401 Unauthorized\)$/);
    assert.match(error.hint ?? '', /every ten minutes/);
    assert.equal(there.refused, 1);
  });
}

test('a missing login is reported', async (t) => {
  const there: FakeHttpCamera = await startHttpCamera(
    t,
    guarded(
      () => there,
      ['joe', SECRET],
      null,
      () => {},
    ),
  );
  const error = await refusal(camera(there.port));
  assert.equal(error.code, 'CAPTURE_REFUSED');
  assert.match(error.hint ?? '', /url_file/);
});

/** A proxy that counts its visitors and lets none through. */
async function deafProxy(t: TestContext) {
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { url: `http://127.0.0.1:${address.port}`, sockets };
}

describe('streams, which ffmpeg plays', { skip }, () => {
  test('a stream behind a login is played, and a wrong password is sent once per attempt', async (t) => {
    const frame = await jpeg();
    const there: FakeHttpCamera = await startHttpCamera(
      t,
      guarded(
        () => there,
        ['joe', SECRET],
        'MD5',
        (_, response) => sendStream(response, frame, null),
      ),
    );
    await capture(camera(there.port, '', { url: `http://joe:${SECRET}@127.0.0.1:${there.port}/` }), 3);
    const before = there.refused;
    const error = await refusal(
      camera(there.port, '', { url: `http://joe:${SECRET}X@127.0.0.1:${there.port}/` }),
    );
    assert.equal(error.code, 'CAPTURE_REFUSED');
    assert.equal(there.refused, before + 1);
  });

  for (const between of ['', '\r\n', '\0\0\0\0']) {
    test(`JPEG images with ${JSON.stringify(between)} between them are a stream`, async (t) => {
      const frame = await jpeg();
      const there = await startHttpCamera(t, (_, response) => sendStream(response, frame, between));
      const { sink } = await capture(camera(there.port, '/live'), 10);
      assert.deepEqual(sink.frames[0]?.format, {
        width: 640,
        height: 360,
        pixels: 'i420',
        colour: 'bt601',
      });
      assert.deepEqual(there.requests, ['/live']);
    });
  }

  test('a stream is probed once, not at each start: some cameras serve a single viewer', async (t) => {
    const frame = await jpeg();
    const there = await startHttpCamera(t, (_, response) => sendStream(response, frame, null));
    const config = sourceSchema.parse(camera(there.port, '/live'));
    for (let start = 1; start <= 3; start++) {
      const source = await createSource(config, { clock: systemClock, log: new FakeLog().logger });
      const sink = new FakeSink();
      const abort = new AbortController();
      const run = source.run(sink, abort.signal);
      await Promise.race([sink.reaches(2), run]);
      abort.abort();
      await run;
      assert.equal(there.requests.length, start + 1);
    }
  });

  test('cameras are reached past the proxies of the environment, and through the one of the settings', async (t) => {
    const frame = await jpeg();
    const there = await startHttpCamera(t, (request, response) =>
      request.url === '/still' ? sendStill(response, frame) : sendStream(response, frame, null),
    );
    const proxy = await deafProxy(t);
    const env: NodeJS.ProcessEnv = { ...process.env };
    for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'])
      env[name] = proxy.url;
    for (const path of ['/still', '/live']) await capture(camera(there.port, path), 2, { env });
    assert.equal(proxy.sockets.length, 0);
    for (const path of ['/still', '/live']) {
      const error = await refusal(camera(there.port, path, { proxy: proxy.url }));
      assert.equal(error.code, 'CAPTURE_UNREACHABLE');
    }
    assert.equal(proxy.sockets.length, 2);
  });
});

const NOT_PICTURES: [what: string, answer: Answer, code: string, message: RegExp][] = [
  [
    'a page to log in',
    (_, response) =>
      void response
        .writeHead(200, { 'content-type': 'text/html' })
        .end(`<!DOCTYPE html><title>${SECRET}</title>`),
    'CAPTURE_NOT_OFFERED',
    /expected images or video, found a web page, for example a login form$/,
  ],
  [
    'a redirect to such a page',
    (request, response) =>
      request.url === '/login'
        ? void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
        : void response.writeHead(302, { location: '/login' }).end(),
    'CAPTURE_NOT_OFFERED',
    /found a web page/,
  ],
  [
    'an error in JSON',
    (_, response) =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end(`{"error":"${SECRET}"}`),
    'CAPTURE_NOT_OFFERED',
    /found JSON data$/,
  ],
  [
    'nothing',
    (_, response) => void response.writeHead(200).end(),
    'CAPTURE_NOT_OFFERED',
    /found an empty response$/,
  ],
  [
    'a wrong path',
    (_, response) => void response.writeHead(404).end(),
    'CAPTURE_NOT_OFFERED',
    /answers 404 Not Found$/,
  ],
  [
    'access that is forbidden',
    (_, response) => void response.writeHead(403).end(),
    'CAPTURE_REFUSED',
    /requires a login \(403 Forbidden\)$/,
  ],
  [
    'a fault of the camera',
    (_, response) => void response.writeHead(500).end(),
    'CAPTURE_BUSY',
    /answers 500 Internal Server Error$/,
  ],
  ['too many viewers', (_, response) => void response.writeHead(503).end(), 'CAPTURE_BUSY', /answers 503/],
  [
    'a circle',
    (_, response) => void response.writeHead(301, { location: '/' }).end(),
    'CAPTURE_NOT_OFFERED',
    /redirects more than 5 times$/,
  ],
  ['no answer', () => {}, 'CAPTURE_UNREACHABLE', /cannot reach the camera: no response within 8 s$/],
  [
    'half a frame',
    (_, response) => {
      response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': 5000 });
      response.write(Buffer.from([0xff, 0xd8, 0xff, 0xe0]));
    },
    'CAPTURE_UNREACHABLE',
    /the response pauses for more than 8 s$/,
  ],
];

for (const [what, answer, code, message] of NOT_PICTURES) {
  test(`${what} instead of stills or video is reported`, async (t) => {
    const there = await startHttpCamera(t, answer);
    const error = await refusal(camera(there.port), { clock: hurriedClock });
    assert.equal(error.code, code);
    assert.match(error.message, new RegExp(`^http://127\\.0\\.0\\.1:${there.port}/: `));
    assert.match(error.message, message);
  });
}

test('an unreachable camera is reported', async (t) => {
  const there = await startHttpCamera(t, () => {});
  const error = await refusal(camera(1));
  assert.deepEqual([error.code, there.requests.length], ['CAPTURE_UNREACHABLE', 0]);
  assert.match(error.message, /connection refused/);
  const unknown = await refusal({ kind: 'http', url: 'http://no-such-host.invalid/' });
  assert.match(unknown.message, /unknown host name|the host name cannot be resolved at the moment/);
});

test('an address from a file of any kind is used', async (t) => {
  const frame = await jpeg();
  const there = await startHttpCamera(t, (_, response) => sendStill(response, frame));
  const url_file = join(await temporaryFolder(t), 'address');
  await writeFile(url_file, Buffer.from(`\ufeffhttp://127.0.0.1:${there.port}/\r\n`, 'utf16le'));
  await capture({ kind: 'http', url_file, fps: 20 }, 2);
});
