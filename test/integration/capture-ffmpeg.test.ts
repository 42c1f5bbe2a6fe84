/** What ffmpeg takes in, with the real ffmpeg. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { createSource } from '../../src/capture/create.ts';
import { FramePool } from '../../src/capture/frame-pool.ts';
import { CameraSupervisor } from '../../src/capture/supervisor.ts';
import { sourceSchema } from '../../src/config/sources.ts';
import type { LookoutError } from '../../src/errors.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { FakeLog } from '../fakes/log.ts';
import { startRtspServer } from '../fakes/rtsp-server.ts';
import { FakeSink } from '../fakes/sink.ts';
import { temporaryFolder, until } from '../support/programs.ts';
import { requires, requiresShared, shared } from '../support/requires.ts';

const skip = requires('ffmpeg');
const SECRET = 'geh3im';

async function ffmpeg(...args: string[]): Promise<void> {
  await promisify(execFile)('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...args]);
}

/** A source that runs until it has given `frames` or ends by itself. */
async function capture(config: object, frames = Number.POSITIVE_INFINITY, whileRunning = async () => {}) {
  const log = new FakeLog();
  const source = await createSource(sourceSchema.parse(config), { clock: systemClock, log: log.logger });
  const sink = new FakeSink();
  const abort = new AbortController();
  const run = source.run(sink, abort.signal);
  await Promise.race([sink.reaches(frames), run]);
  await whileRunning();
  abort.abort();
  await run;
  return { sink, log, source };
}

async function serve(t: TestContext, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Sends JPEG frames of one colour for ever, as cameras do; `size` may change from frame to frame. */
function serveMjpeg(
  response: ServerResponse,
  size: (number: number) => [number, number],
  intervalMs: number,
): void {
  response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace; boundary=frame' });
  let number = 0;
  const timer = setInterval(async () => {
    const [width, height] = size(number++);
    const jpeg = await sharp({ create: { width, height, channels: 3, background: '#ff0000' } })
      .jpeg()
      .toBuffer();
    response.write(`--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${jpeg.length}\r\n\r\n`);
    response.write(jpeg);
    response.write('\r\n');
  }, intervalMs);
  response.on('close', () => clearInterval(timer));
}

/** Command lines of the ffmpeg processes that this process started. */
async function commandLines(): Promise<string[]> {
  const lines: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    if (!status.includes(`PPid:\t${process.pid}\n`)) continue;
    lines.push(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
  }
  return lines;
}

describe('ffmpeg takes in', { skip }, () => {
  describe('a replayed video', () => {
    test('a video is replayed at its own rate, every frame once, in its proportions', {
      skip: requiresShared('data/clips/car-detection.mp4'),
    }, async () => {
      const path = shared('data/clips/car-detection.mp4');
      const { sink } = await capture({ kind: 'replay', path, fps: 12.5, pace: 'consumed', loop: false });
      assert.equal(sink.frames.length, 377);
      assert.deepEqual(sink.frames[0]?.format, {
        width: 640,
        height: 360,
        pixels: 'i420',
        colour: 'bt601',
      });
      assert.equal(new Set(sink.frames.map(({ data }) => Buffer.from(data).toString('latin1'))).size, 377);
      assert.equal(sink.out.size, 0);
    });

    test('a video is thinned out to the configured rate', async (t) => {
      const path = join(await temporaryFolder(t), 'a.mkv');
      await ffmpeg('-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=30:duration=4', '-c:v', 'ffv1', path);
      for (const [fps, expected] of [
        [5, 20],
        [7, 28],
        [30, 120],
        [60, 120],
        [0.5, 2],
      ] as const) {
        const { sink } = await capture({ kind: 'replay', path, fps, pace: 'consumed', loop: false });
        assert.ok(Math.abs(sink.frames.length - expected) <= 1, `${fps} fps: ${sink.frames.length} frames`);
      }
    });

    test('replay at its own pace takes its time', async (t) => {
      const path = join(await temporaryFolder(t), 'a.mkv');
      await ffmpeg('-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=20:duration=1', '-c:v', 'ffv1', path);
      const start = performance.now();
      const { sink } = await capture({ kind: 'replay', path, fps: 20, pace: 'real', loop: false });
      assert.equal(sink.frames.length, 20);
      assert.ok(performance.now() - start >= 940);
    });

    for (const [what, args] of [
      [
        'BT.709',
        [
          '-vf',
          'scale=out_color_matrix=bt709:out_range=tv,format=yuv420p',
          '-colorspace',
          'bt709',
          '-c:v',
          'ffv1',
        ],
      ],
      ['JPEG', ['-pix_fmt', 'yuvj420p', '-c:v', 'mjpeg', '-q:v', '2']],
    ] as const) {
      test(`colours of a ${what} video arrive as BT.601 limited range`, async (t) => {
        const path = join(await temporaryFolder(t), 'red.mkv');
        await ffmpeg('-f', 'lavfi', '-i', 'color=red:s=640x480:d=0.2:r=10', ...args, path);
        const { sink } = await capture({ kind: 'replay', path, pace: 'consumed', loop: false });
        const pixels = new Uint8Array(sink.frames[0]?.data ?? new ArrayBuffer(0));
        const found = [pixels[1000], pixels[640 * 480 + 1000], pixels[640 * 480 * 1.25 + 1000]];
        for (const [i, expected] of [81, 90, 240].entries()) {
          assert.ok(Math.abs((found[i] ?? 0) - expected) <= 3, `Y U V: ${found}`);
        }
      });
    }

    test('a damaged video is played as far as possible and counts a fault', async (t) => {
      const path = join(await temporaryFolder(t), 'a.mp4');
      await ffmpeg('-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=10:duration=4', '-c:v', 'mjpeg', path);
      const bytes = await readFile(path);
      bytes.fill(0x55, Math.floor(bytes.length * 0.3), Math.floor(bytes.length * 0.4));
      await writeFile(path, bytes);
      const { sink, log } = await capture({ kind: 'replay', path, fps: 10, pace: 'consumed', loop: false });
      assert.ok(sink.frames.length >= 20, `${sink.frames.length} frames`);
      assert.ok(sink.faults.length > 0 || log.lines.some(({ msg }) => msg.startsWith('ffmpeg:')));
    });

    test('a file that is not a video is an error with its name', async (t) => {
      const path = join(await temporaryFolder(t), 'a.mp4');
      await writeFile(path, 'no video at all');
      await assert.rejects(capture({ kind: 'replay', path, loop: true }), {
        code: 'CAPTURE_FILE',
        message: /a\.mp4/,
      });
    });
  });

  describe('a stream over HTTP', () => {
    test('MJPEG with a password is played live, and the password shows nowhere', async (t) => {
      const asked: (string | undefined)[] = [];
      const port = await serve(t, (request, response) => {
        asked.push(request.headers.authorization);
        if (asked.length === 1) {
          response.writeHead(401, { 'www-authenticate': 'Basic realm="camera"' }).end();
        } else serveMjpeg(response, () => [320, 180], 100);
      });
      const url_file = join(await temporaryFolder(t), 'address');
      await writeFile(url_file, `http://user:${SECRET}@127.0.0.1:${port}/video?token=t0ken\n`);
      let shown = '';
      const start = performance.now();
      const config = { kind: 'http', url_file, fps: 5 };
      const { sink, log, source } = await capture(config, 11, async () => {
        shown = (await commandLines()).join('\n');
      });
      const elapsed = (performance.now() - start) / 1000;
      assert.equal(asked[1], `Basic ${Buffer.from(`user:${SECRET}`).toString('base64')}`);
      assert.deepEqual(sink.frames[0]?.format, {
        width: 640,
        height: 360,
        pixels: 'i420',
        colour: 'bt601',
      });
      assert.ok(elapsed > 1.5 && elapsed < 30, `11 frames of 5 a second took ${elapsed} s`);
      assert.match(shown, /ffmpeg/);
      for (const place of [shown, log.text, source.description]) {
        assert.ok(!place.includes(SECRET) && !place.includes('t0ken'), place);
      }
      assert.equal(source.description, `http://127.0.0.1:${port}/…, at most 640×480, 5 fps`);
    });

    test('a rejected login is reported without the password', async (t) => {
      const port = await serve(t, (_, response) => {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="camera"' }).end();
      });
      const url = `http://user:${SECRET}@127.0.0.1:${port}/video`;
      const failed = capture({ kind: 'http', url });
      await assert.rejects(failed, (error: Error & { code: string }) => {
        assert.equal(error.code, 'CAPTURE_REFUSED');
        assert.match(error.message, new RegExp(`http://127.0.0.1:${port}/…: .*401`));
        assert.ok(!error.message.includes(SECRET));
        return true;
      });
    });

    test('a change of resolution in the stream does not change the frames', async (t) => {
      const port = await serve(t, (_, response) => {
        serveMjpeg(response, (number) => (number < 15 ? [320, 180] : [640, 480]), 50);
      });
      const { sink } = await capture({ kind: 'http', url: `http://127.0.0.1:${port}/`, fps: 20 }, 40);
      assert.deepEqual(
        [...new Set(sink.frames.map(({ format }) => `${format.width}×${format.height}`))],
        ['640×360'],
      );
      assert.deepEqual(sink.faults, []);
    });

    test('a file is played at its own pace and its end is reported', async (t) => {
      const path = join(await temporaryFolder(t), 'a.mkv');
      await ffmpeg('-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=20:duration=1', '-c:v', 'mjpeg', path);
      const bytes = await readFile(path);
      const port = await serve(t, (_, response) => void response.end(bytes));
      const start = performance.now();
      const config = sourceSchema.parse({ kind: 'http', url: `http://127.0.0.1:${port}/a.mkv`, fps: 20 });
      const source = await createSource(config, { clock: systemClock, log: new FakeLog().logger });
      const sink = new FakeSink();
      await assert.rejects(source.run(sink, new AbortController().signal), { code: 'CAPTURE_ENDED' });
      assert.equal(sink.frames.length, 20);
      assert.ok(performance.now() - start >= 900);
    });

    test('a playlist may not name files of this machine', async (t) => {
      const port = await serve(t, (_, response) => {
        response.end('#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n');
      });
      await assert.rejects(capture({ kind: 'http', url: `http://127.0.0.1:${port}/a.m3u8` }), {
        code: 'CAPTURE_ENDED',
      });
    });

    test('HLS is played', async (t) => {
      const folder = await temporaryFolder(t);
      const list = join(folder, 'live.m3u8');
      const input = [
        '-f',
        'lavfi',
        '-i',
        'testsrc=size=160x120:rate=10:duration=3',
        '-c:v',
        'mpeg2video',
        '-g',
        '10',
      ];
      await ffmpeg(...input, '-f', 'hls', '-hls_time', '1', '-hls_list_size', '0', list);
      const port = await serve(t, (request, response) => {
        void readFile(join(folder, request.url ?? '')).then((bytes) => response.end(bytes));
      });
      const { sink } = await capture(
        { kind: 'http', url: `http://127.0.0.1:${port}/live.m3u8`, fps: 10 },
        15,
      );
      assert.equal(sink.frames.length, 15);
    });

    test('a stream that falls silent is detected by its supervisor and restarted', async (t) => {
      let connections = 0;
      const port = await serve(t, (_, response) => {
        // The very first only finds out what the camera gives.
        const first = connections++ === 1;
        serveMjpeg(response, () => [160, 120], 50);
        if (first) setTimeout(() => (response.write = () => true), 1000);
      });
      const pool = new FramePool();
      const log = new FakeLog();
      const statuses: string[] = [];
      const config = sourceSchema.parse({ kind: 'http', url: `http://127.0.0.1:${port}/`, fps: 20 });
      const supervisor = new CameraSupervisor({
        name: 'yard',
        source: () => createSource(config, { clock: systemClock, log: log.logger }),
        pool,
        clock: systemClock,
        log: log.logger,
        random: () => 0,
        intervalMs: 200,
        onFailures: () => {},
        stallMs: 3000,
        onFrame: (frame) => pool.release(frame.data),
        consumed: async () => {},
        onStatus: (status) => statuses.push(status),
        onEnd: () => {},
      });
      t.after(() => supervisor.stop());
      await supervisor.start();
      await until(() => statuses.length === 3, 'online, stalled, online', 15_000);
      assert.deepEqual(statuses, ['online', 'stalled', 'online']);
      await supervisor.stop();
      assert.deepEqual(
        (await commandLines()).filter((line) => line.includes('ffmpeg')),
        [],
      );
    });

    test('a stream that has fallen silent does not hold up the stop', async (t) => {
      let silent = () => {};
      const port = await serve(t, (_, response) => {
        serveMjpeg(response, () => [160, 120], 50);
        silent = () => {
          response.write = () => true;
        };
      });
      const log = new FakeLog();
      const config = sourceSchema.parse({ kind: 'http', url: `http://127.0.0.1:${port}/`, fps: 20 });
      const source = await createSource(config, { clock: systemClock, log: log.logger });
      const sink = new FakeSink();
      const abort = new AbortController();
      const run = source.run(sink, abort.signal);
      await sink.reaches(5);
      silent();
      await new Promise((resolve) => setTimeout(resolve, 300));
      const start = performance.now();
      abort.abort();
      await run;
      assert.ok(performance.now() - start < 1900, 'it did not take SIGKILL');
    });
  });

  describe('a stream over RTSP', () => {
    test('a camera with a password is played over TCP, and the password shows nowhere', async (t) => {
      const camera = await startRtspServer('user', SECRET);
      t.after(() => camera.close());
      let shown = '';
      const url = `rtsp://user:${SECRET}@127.0.0.1:${camera.port}/cam?channel=1`;
      const { sink, log } = await capture({ kind: 'rtsp', url, fps: 10 }, 10, async () => {
        const lines = await commandLines();
        shown = lines.join('\n');
      });
      assert.deepEqual(sink.frames[0]?.format, {
        width: 640,
        height: 480,
        pixels: 'i420',
        colour: 'bt601',
      });
      assert.ok(
        camera.requests.includes(`DESCRIBE rtsp://127.0.0.1:${camera.port}/cam?channel=1 RTSP/1.0`),
        camera.requests.join('\n'),
      );
      for (const place of [shown, log.text]) assert.ok(!place.includes(SECRET), place);
    });

    test('the configured transport is the only one that is tried', async (t) => {
      const camera = await startRtspServer('user', SECRET);
      t.after(() => camera.close());
      const url = `rtsp://user:${SECRET}@127.0.0.1:${camera.port}/cam`;
      await assert.rejects(capture({ kind: 'rtsp', url, transport: 'udp' }), {
        code: 'CAPTURE_NOT_OFFERED',
        message: `rtsp://127.0.0.1:${camera.port}/…: the camera answers 461 Unsupported transport`,
        hint: /`transport`/,
      });
    });

    test('a wrong password is reported, and sent once per attempt', async (t) => {
      const camera = await startRtspServer('user', SECRET);
      t.after(() => camera.close());
      await assert.rejects(capture({ kind: 'rtsp', url: `rtsp://user:wrong@127.0.0.1:${camera.port}/cam` }), {
        code: 'CAPTURE_REFUSED',
        message: `rtsp://127.0.0.1:${camera.port}/…: the camera rejects the user or password (401 Unauthorized)`,
        hint: /every ten minutes/,
      });
      assert.equal(camera.refused, 1);
      await assert.rejects(capture({ kind: 'rtsp', url: `rtsp://127.0.0.1:${camera.port}/cam` }), {
        code: 'CAPTURE_REFUSED',
        message: /requires a login \(401 Unauthorized\)$/,
      });
    });

    for (const [method, answer, code, hint] of [
      ['DESCRIBE', '404 Not Found', 'CAPTURE_NOT_OFFERED', /the path/],
      ['DESCRIBE', '403 Forbidden', 'CAPTURE_REFUSED', /user and password/],
      ['DESCRIBE', '503 Service Unavailable', 'CAPTURE_BUSY', /viewers/],
      ['DESCRIBE', '500 Internal Server Error', 'CAPTURE_BUSY', /restart the camera/],
      ['SETUP', '453 Not Enough Bandwidth', 'CAPTURE_BUSY', /second, smaller stream/],
      ['SETUP', '461 Unsupported Transport', 'CAPTURE_NOT_OFFERED', /`transport`/],
    ] as const) {
      test(`${answer} to ${method} is reported with a hint`, async (t) => {
        const camera = await startRtspServer('user', SECRET, { [method]: answer });
        t.after(() => camera.close());
        const url = `rtsp://user:${SECRET}@127.0.0.1:${camera.port}/cam`;
        await assert.rejects(capture({ kind: 'rtsp', url }), (error: LookoutError) => {
          assert.equal(error.code, code, error.message);
          assert.ok(error.message.startsWith(`rtsp://127.0.0.1:${camera.port}/…: `), error.message);
          assert.match(error.message, new RegExp(answer.slice(0, 3)));
          assert.match(error.hint ?? '', hint);
          return true;
        });
      });
    }

    test('an unreachable camera is reported', async () => {
      await assert.rejects(capture({ kind: 'rtsp', url: 'rtsp://127.0.0.1:1/cam' }), {
        code: 'CAPTURE_UNREACHABLE',
        message: /^rtsp:\/\/127\.0\.0\.1:1\/…: cannot reach the camera: Connection refused$/,
      });
    });
  });
});
