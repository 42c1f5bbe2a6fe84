/** Pictures to calibrate with, as the daemon would show them to the model: from a folder or from a camera. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FramePool } from '../capture/frame-pool.ts';
import type { FrameSink, Source } from '../capture/source.ts';
import { LookoutError, messageOf } from '../errors.ts';
import type { ModelDescription } from '../model/description.ts';
import { decodeImageFile } from '../pixels/decode-image.ts';
import { DECODED, IMAGE_NAME } from '../pixels/image-format.ts';
import { PixelMemory } from '../pixels/kernels.ts';
import { orientationOf, WHOLE } from '../pixels/orientation.ts';
import { outputBytes, plainBytes, Resizer } from '../pixels/resize.ts';
import { Random } from '../runtime/random.ts';
import type { Box, ModelInput, RawFrame } from '../types.ts';

/** Size of the model's picture, its channels and their order. */
type Size = Pick<ModelDescription['input'], 'width' | 'height' | 'channels' | 'order'>;

const UPRIGHT = orientationOf({ rotate: 0, mirror: 'none' });

/**
 * Up to `most` pictures of a folder, spread over it evenly.
 * @returns uint8 1×H×W×C each
 * @throws LookoutError MODEL_CALIBRATION_EMPTY
 */
export async function picturesOf(folder: string, size: Size, most: number): Promise<Uint8Array[]> {
  const none = (why: string) =>
    new LookoutError('MODEL_CALIBRATION_EMPTY', `${folder}: no pictures to calibrate with: ${why}`);
  const entries = await readdir(folder, { recursive: true }).catch((cause) => {
    throw none(messageOf(cause));
  });
  const files = entries.filter((name) => IMAGE_NAME.test(name)).sort();
  const count = Math.min(most, files.length);
  const cutter = new Cutter(size);
  const pool = new FramePool();
  const pictures: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    const file = join(folder, files[Math.floor((index * files.length) / count)]!);
    const decoded = await decodeImageFile(file, null, pool).catch(() => null);
    if (!decoded) continue;
    pictures.push(cutter.cut(decoded, WHOLE));
    pool.release(decoded.data);
  }
  if (pictures.length === 0) throw none(`it holds no readable image file (${DECODED})`);
  return pictures;
}

/**
 * `count` pictures of a camera: whole frames and parts of them in turn, as motion shows the model both.
 * @throws LookoutError CAPTURE_*
 */
export async function picturesFrom(source: Source, size: Size, count: number): Promise<Uint8Array[]> {
  const cutter = new Cutter(size);
  const random = new Random(1);
  const pool = new FramePool();
  const enough = new AbortController();
  const pictures: Uint8Array[] = [];
  const take = (picture: RawFrame) => {
    if (pictures.length >= count) return enough.abort();
    const box = pictures.length % 2 === 0 ? WHOLE : somewhere(picture, random);
    pictures.push(cutter.cut(picture, box));
    pool.release(picture.data);
  };
  const sink: FrameSink = {
    acquire: (bytes) => pool.acquire(bytes),
    release: (buffer) => pool.release(buffer),
    frame: take,
    consumed: async () => {},
    fault: () => {},
  };
  // The timers of sources do not keep a process alive.
  const alive = setInterval(() => {}, 60_000);
  try {
    await source.run(sink, enough.signal);
  } finally {
    clearInterval(alive);
  }
  if (pictures.length > 0) return pictures;
  throw new LookoutError(
    'MODEL_CALIBRATION_EMPTY',
    `${source.description} gave no picture to calibrate with`,
  );
}

/** Cuts boxes out of pictures with the daemon's own resize. */
class Cutter {
  readonly #output: ModelInput;
  readonly #memory = new PixelMemory();
  readonly #resizer: Resizer;

  constructor({ width, height, channels, order }: Size) {
    this.#output = { ...plainBytes(channels), width, height, order };
    this.#resizer = new Resizer(this.#memory, this.#output);
  }

  cut({ format, data }: RawFrame, box: Box): Uint8Array {
    const pixels = new Uint8Array(data);
    this.#memory.bytes(pixels.length).set(pixels);
    const target = new Uint8Array(outputBytes(this.#output));
    this.#resizer.resize(format, box, UPRIGHT, target);
    return target;
  }
}

/** A square of a quarter to the whole of the picture's height. */
function somewhere({ format: { width, height } }: RawFrame, random: Random): Box {
  const h = random.range(0.25, 1);
  const w = Math.min(1, (h * height) / width);
  return { x: random.range(0, 1 - w), y: random.range(0, 1 - h), w, h };
}
