/** What the bench measures with: pictures, cameras, a broker, and configurations that bring them together. */
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import { Scene } from '../../src/demo/scene.ts';

export const [WIDTH, HEIGHT] = [640, 480];
const FRAMES = 50;
/** Between two health messages, which tell how many frames there were. They cost something, so not too often. */
const HEALTH_SECONDS = 2;
/** Between two pictures of the video, in ms of the scene's time. */
const STEP = 200;
/** The first of a thousand random scores are hardly higher: so one detection or two of each frame are logged. */
const LOG_THRESHOLD = 0.1;

export interface Settings {
  /** Scratch folder of this run. */
  folder: string;
  /** `builtin`, or a path. */
  model: string;
  /** Address of a broker that speaks MQTT 3.1.1. */
  broker: string;
  rounds: number;
  /** Seconds of one round of a throughput. */
  seconds: number;
  quick: boolean;
  say: (line: string) => void;
}

/** The demo scene as an uncompressed video. */
export function writeVideo(folder: string): void {
  const scene = new Scene(WIDTH, HEIGHT, 1);
  const picture = new Uint8Array(scene.bytes);
  const video: Uint8Array[] = [Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F25:1 C420jpeg\n`)];
  for (let i = 0; i < FRAMES; i++) {
    scene.render(i * STEP, picture);
    video.push(Buffer.from('FRAME\n'), picture.slice());
  }
  writeFileSync(join(folder, 'frames.y4m'), Buffer.concat(video));
}

/** The luma of the demo scene as JPEG files of the full size. */
export async function writePhotos(folder: string): Promise<string[]> {
  const scene = new Scene(WIDTH, HEIGHT, 1);
  const picture = new Uint8Array(scene.bytes);
  const files: string[] = [];
  for (let i = 0; i < FRAMES; i++) {
    scene.render(i * STEP, picture);
    const file = join(folder, `${i}.jpg`);
    const raw = { width: WIDTH, height: HEIGHT, channels: 1 } as const;
    await sharp(picture.subarray(0, WIDTH * HEIGHT), { raw })
      .toColourspace('srgb')
      .jpeg({ quality: 90 })
      .toFile(file);
    files.push(file);
  }
  return files;
}

/** A camera that plays the video; as fast as it is consumed unless `fps` says otherwise. */
export function replayCamera(path: string, fps?: number) {
  const pace = fps === undefined ? { pace: 'consumed' } : { pace: 'real', fps };
  return {
    source: { kind: 'replay', path, width: WIDTH, height: HEIGHT, ...pace },
    classify: 'frame',
    gate: 'always',
  };
}

/** What a daemon with this configuration calls itself. */
export function deviceOf(config: string): string {
  return basename(config, '.yaml');
}

/** Settings of the model and the store that a bench chooses. */
interface Tuned {
  threads?: number;
  sessions?: number;
  store?: { commit_interval?: number };
}

/** Writes a configuration with its own data folder and gives its path. */
export function writeConfig(
  { folder, model, broker }: Settings,
  name: string,
  { threads = 1, sessions = 1, store = {}, ...rest }: Record<string, unknown> & Tuned,
): string {
  const file = join(folder, `${name}.yaml`);
  const config = {
    device: name,
    data_dir: join(folder, name),
    log: { format: 'json' },
    model: { file: model, threads, sessions },
    store: { log_threshold: LOG_THRESHOLD, ...store },
    mqtt: { url: broker, version: 4 },
    health_interval: HEALTH_SECONDS,
    ...rest,
  };
  // YAML is a superset of JSON.
  writeFileSync(file, JSON.stringify(config));
  return file;
}

/** Milliseconds of one of `runs` calls, for each round. A round before the first one is the compiler's. */
export function timeRounds(rounds: number, runs: number, call: () => void): number[] {
  const measured: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const began = performance.now();
    for (let i = 0; i < runs; i++) call();
    if (round > 0) measured.push((performance.now() - began) / runs);
  }
  return measured;
}
