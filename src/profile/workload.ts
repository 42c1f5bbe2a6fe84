/**
 * The daemon's workload: a configuration for one point whose camera shows the demo scene (or is one of the user's). All
 * frames are analysed, and one label begins and ends an event each second, so that the database, snapshots and MQTT are
 * measured, too.
 */
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { SourceConfig } from '../config/sources.ts';
import { Scene } from '../demo/scene.ts';
import { encodeJpeg, type ImageSize } from '../pixels/jpeg.ts';
import { toRgb } from '../pixels/rgb.ts';
import { makeFolder } from '../runtime/own-files.ts';
import type { ModelRef, Point } from './profile-types.ts';

/** Kinds of source that need no camera. */
export const SOURCES = ['raw', 'jpeg', 'demo'] as const;

const UPRIGHT = { rotate: 0, mirror: 'none' } as const;
/** Maximum bytes of raw frames on disk, and number of frames of each size. */
const MAX_BYTES = 24e6;
const MAX_FRAMES = 50;
const MIN_FRAMES = 4;
/** Scene time between two frames, ms. */
const STEP_MS = 200;
/** Maximum rate of a source with its own clock, frames per second. */
export const FASTEST = 120;

/** The input of a configuration. */
export interface Work {
  point: Point;
  model: ModelRef;
  /** The label of the model that makes the events. */
  label: string;
  /** The configured camera that `point.source` names. */
  camera: SourceConfig | null;
  /** Folder for frames, configurations and databases. */
  folder: string;
}

/**
 * Writes the configuration of a point.
 * @param fps frames per second; null: as fast as they are analysed or as the camera sends them
 * @returns its path
 */
export async function writeConfig(work: Work, fps: number | null): Promise<string> {
  const { point, model, label, folder } = work;
  const { provider, threads, sessions, spinning, exact } = point;
  const { file, description, labels } = model;
  const home = await makeFolder(join(folder, 'run-'));
  const path = join(home, 'lookout.yaml');
  const settings = {
    device: 'profile',
    cameras: {
      profile: { source: await sourceOf(work, fps), classify: 'frame', gate: 'always', stall: 60 },
    },
    model: {
      file,
      threads,
      sessions,
      spinning,
      exact,
      providers: provider === 'cpu' ? ['cpu'] : [provider, 'cpu'],
      ...(description === undefined ? {} : { description }),
      ...(labels === undefined ? {} : { labels }),
    },
    labels: { [label]: { on: 0, off: 0, window: 1, hits: 1, hold: 0, max: 1 } },
    mqtt: { embedded_port: 0 },
    // Off, to measure how the board itself throttles.
    thermal: { governor: false },
  };
  await writeFile(path, stringify(settings));
  return path;
}

async function sourceOf({ point, camera, folder }: Work, fps: number | null): Promise<object> {
  const { width, height, source } = point;
  const size = { width, height };
  if (camera) return { ...camera, ...size, fps: fps ?? camera.fps };
  if (source === 'demo') return { kind: 'demo', ...size, fps: fps ?? FASTEST };
  const path = source === 'jpeg' ? await jpegFolder(folder, size) : await rawVideo(folder, size);
  const pace = fps === null ? ({ pace: 'consumed' } as const) : ({ pace: 'real', fps } as const);
  return { kind: 'replay', path, ...size, ...pace };
}

/** An uncompressed video of the scene, made when first needed. */
async function rawVideo(folder: string, { width, height }: ImageSize): Promise<string> {
  const path = join(folder, `scene-${width}x${height}.y4m`);
  if (existsSync(path)) return path;
  const parts: Uint8Array[] = [Buffer.from(`YUV4MPEG2 W${width} H${height} F25:1 C420jpeg\n`)];
  for (const frame of frames({ width, height })) parts.push(Buffer.from('FRAME\n'), frame);
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, Buffer.concat(parts));
  await rename(unfinished, path);
  return path;
}

/** The same frames as JPEG files. */
async function jpegFolder(folder: string, { width, height }: ImageSize): Promise<string> {
  const path = join(folder, `scene-${width}x${height}`);
  if (existsSync(path)) return path;
  const unfinished = `${path}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  let number = 0;
  for (const frame of frames({ width, height })) {
    const { data } = toRgb(frame, { width, height, pixels: 'i420', colour: 'bt601' }, UPRIGHT);
    await writeFile(join(unfinished, `${number++}.jpg`), await encodeJpeg(data, { width, height }, 85));
  }
  await rename(unfinished, path);
  return path;
}

function* frames({ width, height }: ImageSize): Generator<Uint8Array> {
  const scene = new Scene(width, height, 1);
  const count = Math.max(MIN_FRAMES, Math.min(MAX_FRAMES, Math.floor(MAX_BYTES / scene.bytes)));
  for (let index = 0; index < count; index++) {
    const frame = new Uint8Array(scene.bytes);
    scene.render(index * STEP_MS, frame);
    yield frame;
  }
}
