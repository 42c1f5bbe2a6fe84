/** What the daemon costs besides: its start, memory, a scene in which nothing moves, and the disk. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Scene } from '../../src/demo/scene.ts';
import { slope } from '../../src/profile/statistics.ts';
import { Bare } from './bare-sessions.ts';
import { DaemonProcess } from './daemon.ts';
import { HEIGHT, replayCamera, type Settings, WIDTH, writeConfig } from './settings.ts';
import type { Row } from './table.ts';

/** Starts of each in a round: one is over in a moment. */
const STARTS = 3;

/**
 * The start of the process to its first classified frame, and what it is held against: a bare process with the same
 * program, flags and environment that opens the same model and runs it once.
 * @param file the .onnx file of the model
 */
export async function startRows(settings: Settings, file: string): Promise<Row[]> {
  const cameras = { bench: replayCamera(join(settings.folder, 'frames.y4m')) };
  const config = writeConfig(settings, 'start', { cameras });
  const turns: [daemon: number, bare: number][] = [];
  // The first round fills the caches: the kernel's, and those of the daemon.
  for (let round = 0; round <= STARTS * settings.rounds; round++) {
    const daemon = new DaemonProcess(config, {}, { fresh: round === 0 });
    const first = (await daemon.first) / 1000;
    const { program, flags, env } = daemon.command;
    await daemon.stop();
    const bare = await bareStart(program, flags, env, file);
    if (round > 0) turns.push([first, bare]);
  }
  return [
    {
      what: 'process start to first classified frame',
      measured: turns.map(([daemon]) => daemon),
      unit: 's',
    },
    {
      what: 'the same ÷ a bare process that opens the model and runs it once',
      measured: turns.map(([daemon, bare]) => daemon / bare),
      limit: { atMost: 1.8 },
    },
  ];
}

/** Seconds from the start of a bare process to the end of its first run. */
async function bareStart(
  program: string,
  flags: readonly string[],
  env: NodeJS.ProcessEnv,
  file: string,
): Promise<number> {
  const script = new URL('./bare-process.js', import.meta.url).pathname;
  const began = performance.now();
  const child = spawn(program, [...flags, script, file], { stdio: ['ignore', 'pipe', 'inherit'], env });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  const seconds = (performance.now() - began) / 1000;
  await exited;
  return seconds;
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

/** Seconds between two looks of the model at a scene in which nothing moves: at each fifth frame. */
const LOOK_SECONDS = 0.9;

/**
 * What the daemon takes for a scene in which nothing moves and that the model looks at once a second, and how many times
 * that is what those runs take alone, made by a bare session at the same pace at the same time. Its camera program does
 * not count.
 * @param file the .onnx file of the model
 */
export async function stillRows(settings: Settings, file: string): Promise<Row[]> {
  const bin = join(settings.folder, 'bin');
  writeStillCamera(bin);
  const source = { kind: 'libcamera', width: WIDTH, height: HEIGHT, fps: 5 };
  const cameras = { bench: { source, gate: 'motion', interval: LOOK_SECONDS } };
  const seconds = settings.quick ? 4 : 10;
  const config = writeConfig(settings, 'still', { cameras, health_interval: seconds });
  const bare = await Bare.start(file, 1);
  const daemon = new DaemonProcess(config, { PATH: `${bin}:${process.env.PATH}` });
  await daemon.first;
  await delay(SETTLED_MS);
  const turns: [daemon: number, bare: number][] = [];
  for (let round = 0; round < settings.rounds; round++) {
    const [cpu, began] = [daemon.cpuMs, performance.now()];
    const { cpuMs: run } = await bare.run(seconds, 1000);
    const share = (daemon.cpuMs - cpu) / (performance.now() - began);
    turns.push([share, run]);
  }
  await daemon.stop();
  await bare.stop();
  const runs = daemon.analysedPerSecond;
  settings.say(`the model ran ${runs.toFixed(2)} times a second`);
  return [
    {
      what: 'still scene, 640×480 at 5 fps, a run a second: CPU of one core',
      measured: turns.map(([share]) => 100 * share),
      unit: '%',
    },
    {
      what: 'the same ÷ the processor time of its runs',
      measured: turns.map(([share, run]) => (1000 * share) / (runs * run)),
      limit: { atMost: 2.5 },
    },
  ];
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
