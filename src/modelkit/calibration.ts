/** Calibration images from a folder or a camera, resized as in the daemon. */
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

/** Size, channels and channel order of the model's input. */
type Size = Pick<ModelDescription['input'], 'width' | 'height' | 'channels' | 'order'>;

const UPRIGHT = orientationOf({ rotate: 0, mirror: 'none' });

/**
 * Up to `most` images of a folder, evenly spread over its files.
 * @returns uint8 1×H×W×C each
 * @throws LookoutError MODEL_CALIBRATION_EMPTY
 */
export async function imagesInFolder(folder: string, size: Size, most: number): Promise<Uint8Array[]> {
  const none = (why: string) =>
    new LookoutError('MODEL_CALIBRATION_EMPTY', `${folder}: no images to calibrate with: ${why}`, {
      hint: 'Name a folder with a hundred or more image files of what the camera sees.',
    });
  const entries = await readdir(folder, { recursive: true }).catch((cause) => {
    throw none(messageOf(cause));
  });
  const files = entries.filter((name) => IMAGE_NAME.test(name)).sort();
  const count = Math.min(most, files.length);
  const cutter = new Cutter(size);
  const pool = new FramePool();
  const images: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    const file = join(folder, files[Math.floor((index * files.length) / count)]!);
    const decoded = await decodeImageFile(file, null, pool).catch(() => null);
    if (!decoded) continue;
    images.push(cutter.cut(decoded, WHOLE));
    pool.release(decoded.data);
  }
  if (images.length === 0) throw none(`the folder contains no readable image file (${DECODED})`);
  return images;
}

/**
 * `count` images from a camera, alternately complete frames and regions: motion detection gives the model both.
 * @throws LookoutError CAPTURE_*
 */
export async function imagesFromCamera(source: Source, size: Size, count: number): Promise<Uint8Array[]> {
  const cutter = new Cutter(size);
  const random = new Random(1);
  const pool = new FramePool();
  const enough = new AbortController();
  const images: Uint8Array[] = [];
  const take = (frame: RawFrame) => {
    if (images.length >= count) return enough.abort();
    const box = images.length % 2 === 0 ? WHOLE : randomSquare(frame, random);
    images.push(cutter.cut(frame, box));
    pool.release(frame.data);
  };
  const sink: FrameSink = {
    acquire: (bytes) => pool.acquire(bytes),
    release: (buffer) => pool.release(buffer),
    frame: take,
    consumed: async () => {},
    fault: () => {},
  };
  // A source's timers do not keep the process alive.
  const alive = setInterval(() => {}, 60_000);
  try {
    await source.run(sink, enough.signal);
  } finally {
    clearInterval(alive);
  }
  if (images.length > 0) return images;
  throw new LookoutError(
    'MODEL_CALIBRATION_EMPTY',
    `${source.description}: received no frame to calibrate with`,
    { hint: 'Check the camera with `lookout doctor`, or use --calibrate FOLDER.' },
  );
}

/** Cuts boxes out of frames with the daemon's own resize. */
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

/** A random square with a side of a quarter to all of the frame's height. */
function randomSquare({ format: { width, height } }: RawFrame, random: Random): Box {
  const h = random.range(0.25, 1);
  const w = Math.min(1, (h * height) / width);
  return { x: random.range(0, 1 - w), y: random.range(0, 1 - h), w, h };
}
