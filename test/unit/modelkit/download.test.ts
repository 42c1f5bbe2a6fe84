import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, type TestContext, test } from 'node:test';
import type { LookoutError } from '../../../src/errors.ts';
import { type DownloadOptions, discard, download, type Target } from '../../../src/modelkit/download.ts';
import { breakAfter, FileServer, serve, status } from '../../fakes/file-server.ts';
import { tempFolder } from '../../support/folder.ts';

const body = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7 + (i >> 8));
const most = 1_000_000;
const limits = { bytes: null, most };

let folder: string;
let to: Target;
let pauses: number[];
let options: DownloadOptions;

beforeEach(() => {
  folder = tempFolder();
  to = { partial: join(folder, 'model.part'), to: join(folder, 'model') };
  pauses = [];
  options = { wait: async (ms) => pauses.push(ms) };
});
afterEach(() => rmSync(folder, { recursive: true }));

async function server(t: TestContext, ...handlers: ConstructorParameters<typeof FileServer>) {
  const started = new FileServer(...handlers);
  await started.start();
  t.after(() => started.stop());
  return started;
}

function arrived(): void {
  assert.deepEqual(new Uint8Array(readFileSync(to.to)), body);
  assert.deepEqual(readdirSync(folder), ['model'], 'no note is left beside it');
}

function code(expected: string, message = /./) {
  return (error: LookoutError) => {
    assert.equal(error.code, expected, error.message);
    assert.match(error.message, message);
    return true;
  };
}

const nothingLeft = () => assert.deepEqual(readdirSync(folder), []);

describe('a download', () => {
  test('downloads the file and reports its progress', async (t) => {
    const source = await server(t, serve(body));
    const seen: [number, number | null][] = [];
    await download(source.url(), to, limits, {
      onProgress: (received, total) => seen.push([received, total]),
    });
    arrived();
    assert.deepEqual(seen[0], [0, body.length]);
    assert.deepEqual(seen.at(-1), [body.length, body.length]);
  });

  test('resumes where the connection broke', async (t) => {
    const source = await server(t, breakAfter(60_000, body), breakAfter(30_000, body), serve(body));
    const seen: number[] = [];
    const onProgress = (received: number) => seen.push(received);
    await download(source.url(), to, { bytes: body.length, most }, { ...options, onProgress });
    arrived();
    const asked = source.requests.map(({ headers }) => [headers.range, headers['if-range']]);
    assert.deepEqual(asked, [
      [undefined, undefined],
      ['bytes=60000-', '"v1"'],
      ['bytes=90000-', '"v1"'],
    ]);
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
      'progress never falls back',
    );
  });

  test('keeps the received part for the next call if the network fails', async (t) => {
    const first = await server(t, breakAfter(60_000, body), (request) => request.socket.destroy());
    const given = first.url();
    await assert.rejects(download(given, to, limits, options), (error: LookoutError) => {
      assert.match(error.hint ?? '', /first 60000 bytes are kept/);
      return code('MODEL_DOWNLOAD_FAILED')(error);
    });
    assert.equal(readFileSync(to.partial).length, 60_000);

    const { port } = first;
    first.stop();
    const second = new FileServer(serve(body));
    await second.start(port);
    t.after(() => second.stop());
    await download(given, to, limits, options);
    arrived();
    assert.equal(second.requests[0]?.headers.range, 'bytes=60000-');
  });

  test('restarts if the file has changed in the meantime', async (t) => {
    const other = new Uint8Array(80_000).fill(9);
    const source = await server(t, breakAfter(60_000, other, '"v1"'), serve(body, '"v2"'));
    await download(source.url(), to, limits, options);
    arrived();
  });

  test('restarts if the server resumes at another offset, or cannot resume', async (t) => {
    const elsewhere = await server(
      t,
      breakAfter(60_000, body),
      (_request, response) => {
        response.writeHead(206, { 'content-range': 'bytes 0-99999/100000', etag: '"v1"' }).end(body);
      },
      serve(body),
    );
    await download(elsewhere.url(), to, limits, options);
    arrived();
    const cannot = await server(t, breakAfter(60_000, body), status(416), serve(body));
    await download(cannot.url(), to, limits, options);
    arrived();
    assert.equal(cannot.requests[2]?.headers.range, undefined);
  });

  test('keeps no part of a file without an ETag', async (t) => {
    const source = await server(t, breakAfter(60_000, body, 'W/"weak"'));
    await assert.rejects(download(source.url(), to, limits, options), code('MODEL_DOWNLOAD_FAILED'));
    nothingLeft();
  });

  test('closes a silent connection and retries', async (t) => {
    const silent = await server(
      t,
      () => {},
      (_request, response) => {
        response.writeHead(200, { 'content-length': body.length, etag: '"v1"' });
        response.write(body.subarray(0, 100));
      },
      serve(body),
    );
    const reasons: string[] = [];
    const onRetry = (reason: string) => reasons.push(reason);
    await download(silent.url(), to, limits, { ...options, idleMs: 60, onRetry });
    arrived();
    assert.deepEqual(reasons, ['no data for 0.06 seconds', 'no data for 0.06 seconds']);
  });

  test('retries after server errors, with growing backoff', async (t) => {
    const source = await server(t, ...[500, 502, 503, 504, 429].map((answer) => status(answer)), serve(body));
    await download(source.url(), to, limits, options);
    arrived();
    assert.equal(pauses.length, 5);
    for (const [index, pause] of pauses.entries()) {
      const middle = 1000 * 2 ** index;
      assert.ok(pause >= 0.75 * middle && pause <= 1.25 * middle, `${pause} ms`);
    }
  });

  test('waits as long as the server requests, at most a minute', async (t) => {
    const source = await server(
      t,
      status(503, { 'retry-after': '20' }),
      status(429, { 'retry-after': '86400' }),
      serve(body),
    );
    await download(source.url(), to, limits, options);
    assert.deepEqual(pauses, [20_000, 60_000]);
  });

  test('fails immediately if there is no such file', async (t) => {
    const source = await server(t, status(404));
    await assert.rejects(download(source.url(), to, limits, options), code('MODEL_DOWNLOAD_FAILED', /404/));
    assert.equal(source.requests.length, 1);
    nothingLeft();
  });

  test('fails after six attempts', async (t) => {
    const source = await server(t, status(500));
    await assert.rejects(download(source.url(), to, limits, options), code('MODEL_DOWNLOAD_FAILED', /500/));
    assert.equal(source.requests.length, 6);
    nothingLeft();
  });

  test('refuses a file whose size differs from the published one', async (t) => {
    const source = await server(t, serve(body));
    const wrong = { bytes: body.length + 1, most };
    await assert.rejects(download(source.url(), to, wrong, options), code('MODEL_CHECKSUM', /100001/));
    assert.equal(source.requests.length, 1);
    nothingLeft();
  });

  test('stops if more data arrives than announced or published', async (t) => {
    const endless = await server(t, (_request, response) => {
      const more = () => response.write(Buffer.alloc(10_000), () => response.destroyed || setImmediate(more));
      more();
    });
    await assert.rejects(
      download(endless.url(), to, { bytes: body.length, most }, options),
      code('MODEL_CHECKSUM', /the server has more/),
    );
    nothingLeft();
    await assert.rejects(
      download(endless.url(), to, { bytes: null, most: 50_000 }, options),
      code('MODEL_DOWNLOAD_FAILED', /larger than the limit of 50000 bytes/),
    );
    nothingLeft();
  });

  test('detects that less data arrived than announced', async (t) => {
    const source = await server(t, (_request, response) => {
      response.writeHead(200, { 'content-length': body.length + 50 });
      response.write(body, () => response.destroy());
    });
    await assert.rejects(download(source.url(), to, limits, options), code('MODEL_DOWNLOAD_FAILED'));
    nothingLeft();
  });

  test('follows a limited number of redirects', async (t) => {
    const source = await server(
      t,
      status(302, { location: '/elsewhere' }),
      status(307, { location: '/at-last' }),
      serve(body),
    );
    await download(source.url(), to, limits, options);
    arrived();
    assert.deepEqual(
      source.requests.map(({ url }) => url),
      ['/model.tflite', '/elsewhere', '/at-last'],
    );
    const circle = await server(t, status(301, { location: '/model.tflite' }));
    await assert.rejects(
      download(circle.url(), to, limits, options),
      code('MODEL_DOWNLOAD_FAILED', /more than 5 redirects/),
    );
    arrived();
  });

  test('refuses unencrypted connections, except to this machine', async (t) => {
    const source = await server(t, status(302, { location: 'http://192.0.2.1/model.tflite' }));
    for (const address of [
      source.url(),
      'http://192.0.2.1/model.tflite',
      'ftp://127.0.0.1/x',
      'file:///etc/passwd',
    ]) {
      await assert.rejects(
        download(address, to, limits, options),
        code('MODEL_DOWNLOAD_FAILED', /starts with https/),
      );
    }
    nothingLeft();
  });

  test('refuses compressed responses', async (t) => {
    const source = await server(t, (_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(body);
    });
    await assert.rejects(
      download(source.url(), to, limits, options),
      code('MODEL_DOWNLOAD_FAILED', /compressed/),
    );
    nothingLeft();
  });

  test('reports that it cannot write', async (t) => {
    const source = await server(t, serve(body));
    await assert.rejects(
      download(source.url(), { ...to, partial: join(folder, 'absent', 'model.part') }, limits, options),
      code('MODEL_WRITE_FAILED', /ENOENT/),
    );
  });

  test('does not touch another file with the name of the partial one', async (t) => {
    const source = await server(t, serve(body));
    writeFileSync(to.partial, 'my own');
    const refused = code('MODEL_WRITE_FAILED', /model\.part exists and is not an unfinished download/);
    await assert.rejects(download(source.url(), to, limits, options), refused);
    assert.equal(discard(to.partial), false);
    // The note of a deleted file proves nothing about a new file of the same name.
    writeFileSync(`${to.partial}.json`, JSON.stringify({ url: source.url(), etag: '"v1"', inode: 1 }));
    await assert.rejects(download(source.url(), to, limits, options), refused);
    assert.equal(readFileSync(to.partial, 'utf8'), 'my own');
    assert.deepEqual(readdirSync(folder), ['model.part']);
  });
});
