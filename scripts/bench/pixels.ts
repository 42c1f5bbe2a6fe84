/** Motion detection and resize of whole frames alone: nothing else runs in this thread. */
import { readFileSync } from 'node:fs';
import { configSchema } from '../../src/config/schema.ts';
import type { ModelDescription } from '../../src/model/description.ts';
import { PixelMemory } from '../../src/pixels/kernels.ts';
import { orientationOf, WHOLE } from '../../src/pixels/orientation.ts';
import { outputBytes, Resizer } from '../../src/pixels/resize.ts';
import { MotionDetector } from '../../src/vision/motion.ts';
import { HEIGHT, replayCamera, WIDTH } from './settings.ts';

const FORMAT = { width: WIDTH, height: HEIGHT, pixels: 'i420', colour: 'bt601' } as const;
const BYTES = (WIDTH * HEIGHT * 3) / 2;
/** Milliseconds between two frames: those of a pipeline at full speed. */
const APART = 2;

export class Pixels {
  readonly #memory = new PixelMemory();
  readonly #frames: Uint8Array[] = [];
  readonly #motion: MotionDetector;
  readonly #resizer: Resizer;
  readonly #input: Uint8Array;
  #count = 0;

  /** @param video an uncompressed video as `writeVideo` makes it */
  constructor(video: string, { input }: ModelDescription) {
    const bytes = readFileSync(video);
    const frame = Buffer.from('FRAME\n');
    for (let at = bytes.indexOf(frame); at >= 0; at = bytes.indexOf(frame, at + BYTES)) {
      at += frame.length;
      this.#frames.push(bytes.subarray(at, at + BYTES));
    }
    const { cameras } = configSchema.parse({ cameras: { bench: replayCamera(video) } });
    this.#motion = new MotionDetector(cameras.bench!.motion, UPRIGHT);
    this.#resizer = new Resizer(this.#memory, input);
    this.#input = new Uint8Array(outputBytes(input));
  }

  /** @returns milliseconds that a frame takes */
  run(seconds: number): number {
    const began = performance.now();
    let frames = 0;
    while (performance.now() - began < 1000 * seconds) {
      this.#memory.bytes(BYTES).set(this.#frames[this.#count % this.#frames.length]!);
      this.#motion.detect(this.#memory, FORMAT, APART * this.#count++);
      this.#resizer.resize(FORMAT, WHOLE, UPRIGHT, this.#input);
      frames++;
    }
    return (performance.now() - began) / frames;
  }
}

const UPRIGHT = orientationOf({ rotate: 0, mirror: 'none' });
