/** Clocks that are set while a camera runs, its own and that of this machine, with the real ffmpeg. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { createSource } from '../../src/capture/create.ts';
import { sourceSchema } from '../../src/config/sources.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { jpeg, sendStream, startHttpCamera } from '../fakes/http-camera.ts';
import { FakeLog } from '../fakes/log.ts';
import { startRtspServer } from '../fakes/rtsp-server.ts';
import { FakeSink } from '../fakes/sink.ts';
import { compileLibrary } from '../support/compile.ts';
import { temporaryFolder } from '../support/programs.ts';
import { requires } from '../support/requires.ts';

const skip = requires('ffmpeg');
const FPS = 5;
const HOUR = 3600;

/** A camera that runs until the test ends. */
async function watch(t: TestContext, config: object, env = process.env) {
  const source = await createSource(sourceSchema.parse({ ...config, fps: FPS }), {
    ...{ clock: systemClock, log: new FakeLog().logger, env },
  });
  const sink = new FakeSink();
  const abort = new AbortController();
  const run = source.run(sink, abort.signal);
  let failed: unknown = null;
  run.catch((error: unknown) => {
    failed = error;
  });
  t.after(async () => {
    abort.abort();
    await run.catch(() => {});
  });
  /** Waits for so many more frames, which must come at the configured rate, but for one second. */
  const goesOn = async (what: string, frames = 2 * FPS) => {
    const start = performance.now();
    const wanted = sink.frames.length + frames;
    await Promise.race([sink.reaches(wanted), run, systemSleep((frames / FPS + 8) * 1000)]);
    assert.equal(failed, null, what);
    assert.ok(sink.frames.length >= wanted, `${what}: the camera is blind`);
    const seconds = (performance.now() - start) / 1000;
    assert.ok(seconds < frames / FPS + 4, `${what}: ${frames} frames took ${seconds} s`);
  };
  await sink.reaches(2);
  return { sink, goesOn };
}

const systemSleep = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

/** Four seconds of MPEG-TS whose times start at so many seconds. */
async function transportStream(file: string, start: number): Promise<Buffer> {
  const video = 'testsrc2=size=160x120:rate=10:duration=4';
  const args = ['-nostdin', '-v', 'error', '-y', '-f', 'lavfi', '-i', video, '-c:v', 'mpeg2video', '-g', '5'];
  await promisify(execFile)('ffmpeg', [...args, '-output_ts_offset', String(start), '-f', 'mpegts', file]);
  return await readFile(file);
}

describe('clocks that are set while a camera runs', { skip }, () => {
  test('setting the clock of this machine does not blind a camera, nor change its rate', {
    skip: requires('cc'),
  }, async (t) => {
    const time = join(await temporaryFolder(t), 'time');
    await writeFile(time, '0');
    const frame = await jpeg();
    const there = await startHttpCamera(t, (_, response) => sendStream(response, frame, null));
    const env = { ...process.env, LD_PRELOAD: compileLibrary('wall-clock.c'), WALL_CLOCK: time };
    const { goesOn } = await watch(t, { kind: 'http', url: `http://127.0.0.1:${there.port}/` }, env);
    await goesOn('before');
    // Back and forth by summer time; from a clock that stood still for days; from 1970.
    for (const offset of [HOUR, 0, -HOUR, 100 * 24 * HOUR, 0, -1_700_000_000, 0]) {
      await writeFile(time, String(offset));
      await goesOn(`${offset} s ahead`);
    }
  });

  test('setting the clock of an RTSP camera does not blind it', async (t) => {
    const ticks = 90_000 * HOUR;
    let shift = 0;
    const camera = await startRtspServer('user', 'secret', {}, () => shift);
    t.after(() => camera.close());
    const { goesOn } = await watch(t, {
      kind: 'rtsp',
      url: `rtsp://user:secret@127.0.0.1:${camera.port}/cam`,
    });
    for (shift of [0, -ticks, ticks, 0]) await goesOn(`${shift} ticks`);
  });

  for (const path of ['/live', '/live.ts']) {
    test(`times in MPEG-TS that jump back and forth do not blind a camera at ${path}`, async (t) => {
      const file = join(await temporaryFolder(t), 'part.ts');
      const parts: Buffer[] = [];
      for (const start of [20_000, 100, 50_000]) parts.push(await transportStream(file, start));
      const stream = Buffer.concat(parts);
      const there = await startHttpCamera(t, (_, response) => {
        response.writeHead(200, { 'content-type': 'video/mp2t' });
        let at = 0;
        const step = 188 * Math.ceil(stream.length / 188 / 240);
        const timer = setInterval(() => {
          if (at >= stream.length) at = 0;
          response.write(stream.subarray(at, at + step));
          at += step;
        }, 50);
        response.on('close', () => clearInterval(timer));
      });
      const { goesOn } = await watch(t, { kind: 'http', url: `http://127.0.0.1:${there.port}${path}` });
      await goesOn('over several jumps', 14 * FPS);
    });
  }
});
