/** What the daemon costs besides: its start, memory, a scene in which nothing moves, and the disk. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Scene } from '../../src/capture/demo/scene.ts';
import { slope } from '../../src/profile/statistics.ts';
import { DaemonProcess } from './daemon.ts';
import { HEIGHT, replayCamera, type Settings, WIDTH, writeConfig } from './settings.ts';
import type { Row } from './table.ts';

/** Seconds from the start of the process to the first classified frame. */
export async function startRow(settings: Settings): Promise<Row> {
  const cameras = { bench: replayCamera(join(settings.folder, 'frames.y4m')) };
  const config = writeConfig(settings, 'start', { cameras });
  const measured: number[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    const daemon = new DaemonProcess(config);
    measured.push((await daemon.first) / 1000);
    await daemon.stop();
  }
  return { what: 'process start to first classified frame', measured, limit: { atMost: 0.8 }, unit: 's' };
}

/** Pictures per second of a camera at a house. */
const CAMERA_FPS = 10;
const SETTLED_MS = 10_000;

/** Memory of a daemon that watches one camera at its own pace. */
async function rssRow(settings: Settings): Promise<Row> {
  const cameras = { bench: replayCamera(join(settings.folder, 'frames.y4m'), CAMERA_FPS) };
  const daemon = new DaemonProcess(writeConfig(settings, 'rss', { cameras }));
  await daemon.first;
  await delay(SETTLED_MS);
  const measured: number[] = [];
  for (let sample = 0; sample < (settings.quick ? 10 : 50); sample++) {
    await delay(1000);
    measured.push(daemon.rssMb);
  }
  await daemon.stop();
  const what = `RSS, one camera at ${CAMERA_FPS} fps`;
  return { what, measured, limit: { atMost: 150 }, digits: 1, unit: 'MB' };
}

/** Frames after which memory counts as settled, and frames over which its growth is measured. */
const WARM_UP = 10_000;
const FRAMES = { quick: 20_000, full: 200_000 };

/** Memory of a daemon at full speed, and how it grows: the slope of the best line through all samples. */
async function growthRows(settings: Settings): Promise<Row[]> {
  const cameras = { bench: replayCamera(join(settings.folder, 'frames.y4m')) };
  // The number of frames is read from the log, which must not lag behind.
  const config = writeConfig(settings, 'memory', { cameras, store: { commit_interval: 1 } });
  const daemon = new DaemonProcess(config);
  await daemon.first;
  const frames = settings.quick ? FRAMES.quick : FRAMES.full;
  const points: [frames: number, mb: number][] = [];
  for (let x = 0; x < WARM_UP + frames; ) {
    await delay(1000);
    x = daemon.framesAnalysed;
    if (x >= WARM_UP) points.push([x, daemon.rssMb]);
  }
  const stopMs = await daemon.stop();
  return [
    { what: 'RSS at full speed', measured: points.map(([, mb]) => mb), digits: 1, unit: 'MB' },
    {
      what: `RSS, growth over ${frames.toLocaleString('en')} frames, per 100,000`,
      measured: [slope(points) * 100_000],
      limit: { atMost: 1 },
      unit: 'MB',
    },
    { what: 'SIGTERM to exit', measured: [stopMs], limit: { atMost: 2000 }, digits: 0, unit: 'ms' },
  ];
}

export async function memoryRows(settings: Settings): Promise<Row[]> {
  return [await rssRow(settings), ...(await growthRows(settings))];
}

/** Share of one core that the daemon takes for a scene in which nothing moves; its camera program does not count. */
export async function stillRow(settings: Settings): Promise<Row> {
  const bin = join(settings.folder, 'bin');
  writeStillCamera(bin);
  const source = { kind: 'libcamera', width: WIDTH, height: HEIGHT, fps: 5 };
  const cameras = { bench: { source, gate: 'motion', interval: 0 } };
  const config = writeConfig(settings, 'still', { cameras, health_interval: 60 });
  const daemon = new DaemonProcess(config, { PATH: `${bin}:${process.env.PATH}` });
  const seconds = settings.quick ? 4 : 10;
  await delay(8000);
  const measured: number[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    const [cpu, began] = [daemon.cpuMs, performance.now()];
    await delay(1000 * seconds);
    measured.push((100 * (daemon.cpuMs - cpu)) / (performance.now() - began));
  }
  await daemon.stop();
  return {
    what: 'static scene, 640×480 at 5 fps, motion-gated: CPU of one core',
    measured,
    limit: { atMost: 2 },
    unit: '%',
  };
}

/** A program that acts as rpicam-vid: a still scene with the noise of a sensor, on standard output. */
function writeStillCamera(bin: string): void {
  mkdirSync(bin);
  const scene = new Scene(WIDTH, HEIGHT, 1);
  const picture = new Uint8Array(scene.bytes);
  scene.render(0, picture);
  writeFileSync(join(bin, 'picture.yuv'), picture);
  const program = join(bin, 'rpicam-vid');
  writeFileSync(
    program,
    `#!${process.execPath}
const picture = require('node:fs').readFileSync(__dirname + '/picture.yuv');
const pictures = Array.from({ length: 8 }, () => picture.map((level) => level + Math.floor(Math.random() * 5) - 2));
let count = 0;
setInterval(() => process.stdout.write(pictures[count++ % pictures.length]), 200);
`,
  );
  chmodSync(program, 0o755);
}

/** Frames per second that make five detections a second or so. */
const DISK_FPS = 3.6;
/** So long that what a start and an end write once counts for as little as it does in a service. */
const DISK_SECONDS = { quick: 60, full: 600 };

/**
 * Bytes that a process sends to the disk in all its life for each detection in its log, at some 5 per second.
 * @param labels those that the model makes events of by itself
 */
export async function diskRow(settings: Settings, labels: readonly string[]): Promise<Row> {
  const seconds = settings.quick ? DISK_SECONDS.quick : DISK_SECONDS.full;
  const config = writeConfig(settings, 'disk', {
    cameras: { bench: replayCamera(join(settings.folder, 'frames.y4m'), DISK_FPS) },
    // Nothing makes an event: their pictures are not SQLite's.
    labels: Object.fromEntries(labels.map((label) => [label, { on: 1, off: 1 }])),
    health_interval: 60,
  });
  const daemon = new DaemonProcess(config);
  await daemon.first;
  await delay(1000 * seconds);
  let written = daemon.bytesWritten;
  await daemon.stop(() => {
    try {
      written = daemon.bytesWritten;
    } catch {
      // It has ended.
    }
  });
  const [{ count, span }] = daemon.query(
    'SELECT count(*) AS count, max(captured_at) - min(captured_at) AS span FROM detections',
  ) as [{ count: number; span: number }];
  settings.say(`${count} detections, ${((1000 * count) / span).toFixed(1)} per second`);
  return {
    what: `SQLite: bytes written per logged detection, all of ${seconds} s`,
    measured: [written / count],
    // A minute is mostly start and end.
    ...(settings.quick ? {} : { limit: { atMost: 600 } }),
    digits: 0,
    unit: 'bytes',
  };
}
