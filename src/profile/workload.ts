/**
 * What the daemon is given to do: a configuration for one point, whose camera shows the demo scene (or is one of the
 * user's), whose frames are all analysed, and one of whose labels begins and ends an event each second, so that the
 * database, the pictures and MQTT have their work too.
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

/** Kinds of source that need nothing but this program. */
export const SOURCES = ['raw', 'jpeg', 'demo'] as const;

const UPRIGHT = { rotate: 0, mirror: 'none' } as const;
/** Most bytes of raw pictures on the disk, and how many pictures there are of each size. */
const MOST_BYTES = 24e6;
const MOST_PICTURES = 50;
const FEWEST_PICTURES = 4;
/** Time in the scene between two pictures, ms. */
const STEP_MS = 200;
/** As fast as a source that has a clock of its own may go. */
export const FASTEST = 120;

/** What a configuration is written for. */
export interface Work {
  point: Point;
  model: ModelRef;
  /** A label of the model that may begin and end events. */
  label: string;
  /** The configured camera that `point.source` names. */
  camera: SourceConfig | null;
  /** Where pictures, configurations and databases go. */
  folder: string;
}

/**
 * Writes the configuration of a point.
 * @param fps pictures per second; null: as fast as they are analysed, or as the camera gives them
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
      ...{ file, threads, sessions, spinning, exact },
      providers: provider === 'cpu' ? ['cpu'] : [provider, 'cpu'],
      ...(description === undefined ? {} : { description }),
      ...(labels === undefined ? {} : { labels }),
    },
    labels: { [label]: { on: 0, off: 0, window: 1, hits: 1, hold: 0, max: 1 } },
    mqtt: { embedded_port: 0 },
    // What the board does by itself when it gets hot is to be seen.
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

/** An uncompressed video of the scene; made when it is first needed. */
async function rawVideo(folder: string, { width, height }: ImageSize): Promise<string> {
  const path = join(folder, `scene-${width}x${height}.y4m`);
  if (existsSync(path)) return path;
  const parts: Uint8Array[] = [Buffer.from(`YUV4MPEG2 W${width} H${height} F25:1 C420jpeg\n`)];
  for (const picture of pictures({ width, height })) parts.push(Buffer.from('FRAME\n'), picture);
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, Buffer.concat(parts));
  await rename(unfinished, path);
  return path;
}

/** The same pictures as JPEG files. */
async function jpegFolder(folder: string, { width, height }: ImageSize): Promise<string> {
  const path = join(folder, `scene-${width}x${height}`);
  if (existsSync(path)) return path;
  const unfinished = `${path}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  let number = 0;
  for (const picture of pictures({ width, height })) {
    const { data } = toRgb(picture, { width, height, pixels: 'i420', colour: 'bt601' }, UPRIGHT);
    await writeFile(join(unfinished, `${number++}.jpg`), await encodeJpeg(data, { width, height }, 85));
  }
  await rename(unfinished, path);
  return path;
}

function* pictures({ width, height }: ImageSize): Generator<Uint8Array> {
  const scene = new Scene(width, height, 1);
  const count = Math.max(FEWEST_PICTURES, Math.min(MOST_PICTURES, Math.floor(MOST_BYTES / scene.bytes)));
  for (let index = 0; index < count; index++) {
    const picture = new Uint8Array(scene.bytes);
    scene.render(index * STEP_MS, picture);
    yield picture;
  }
}
