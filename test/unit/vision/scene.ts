import type { MotionConfig } from '../../../src/config/schema.ts';
import { PixelMemory } from '../../../src/pixels/kernels.ts';
import { orientationOf, type Transform } from '../../../src/pixels/orientation.ts';
import { frameBytes } from '../../../src/pixels/plane.ts';
import type { FrameFormat } from '../../../src/types.ts';
import type { Motion } from '../../../src/vision/gate.ts';
import { MotionDetector } from '../../../src/vision/motion.ts';
import { Seeded } from '../../support/random.ts';

export const SCENE_FORMAT: FrameFormat = { width: 320, height: 240, pixels: 'i420', colour: 'bt601' };
export const MOTION_DEFAULTS: MotionConfig = {
  ...{ sensitivity: 5, min_area: 0.002, max_regions: 3, light_switch: 0.7, linger: 1 },
};
export const FRAME_MS = 200;
const NOISE_LENGTH = 1 << 18;

/** A square of one brightness, in pixels of the raw frame. */
export interface Square {
  x: number;
  y: number;
  side: number;
  level: number;
}

interface Light {
  gain?: number;
  offset?: number;
  /** Levels to add at each pixel. */
  paint?: (x: number, y: number) => number;
  /** Light that falls on each pixel of wall and squares: their levels times this. */
  lit?: ((x: number, y: number) => number) | undefined;
  squares?: Square[];
  /** Time since the frame before. */
  frameMs?: number;
}

export const isSomething = ({ lightSwitch, moving }: Motion): boolean => lightSwitch || moving.length > 0;

/** A camera before a chequered wall: noise, light and squares at will, one frame every 200 ms. */
export class Scene {
  readonly #memory = new PixelMemory();
  readonly #detector: MotionDetector;
  readonly #format: FrameFormat;
  readonly #noise: Float32Array;
  readonly #random = new Seeded(1);
  #now = 0;
  #last: {
    gain: number;
    offset: number;
    paint: Light['paint'];
    lit: Light['lit'];
    wall: Float32Array;
  } | null = null;

  /** @param noise standard deviation of each pixel, in levels */
  constructor(
    config: Partial<MotionConfig> = {},
    noise = 6,
    format = SCENE_FORMAT,
    transform: Transform = { rotate: 0, mirror: 'none' },
  ) {
    this.#detector = new MotionDetector({ ...MOTION_DEFAULTS, ...config }, orientationOf(transform));
    this.#format = format;
    const { next } = this.#random;
    // The sum of four uniform numbers is near enough to a normal distribution.
    const normal = () => (next() + next() + next() + next() - 2) * Math.sqrt(3);
    this.#noise = new Float32Array(NOISE_LENGTH).map(() => noise * normal());
  }

  frame(light: Light = {}): Motion {
    const { width, height, pixels } = this.#format;
    const step = pixels === 'rgb24' ? 3 : 1;
    const bytes = new Uint8ClampedArray(this.#memory.bytes(frameBytes(this.#format)).buffer);
    const wall = this.#wall(light);
    for (let y = 0; y < height; y++) {
      const noise = this.#noise.subarray(this.#random.int(0, NOISE_LENGTH - width));
      const row = wall.subarray(y * width, y * width + width);
      for (let x = 0; x < width; x++) {
        const level = row[x]! + noise[x]!;
        const at = (y * width + x) * step;
        for (let byte = at; byte < at + step; byte++) bytes[byte] = level;
      }
    }
    for (const { x, y, side, level } of light.squares ?? []) {
      for (let row = y; row < y + side; row++) {
        for (let column = x; column < x + side; column++) {
          const at = (row * width + column) * step;
          bytes.fill(level * (light.lit?.(column, row) ?? 1), at, at + step);
        }
      }
    }
    this.#now += light.frameMs ?? FRAME_MS;
    return this.#detector.detect(this.#memory, this.#format, this.#now);
  }

  /** The wall without noise, from the last frame if it was in the same light. */
  #wall(light: Light): Float32Array {
    const { gain = 1, offset = 0, paint, lit } = light;
    const last = this.#last;
    if (last && last.gain === gain && last.offset === offset && last.paint === paint && last.lit === lit)
      return last.wall;
    const { width, height } = this.#format;
    const wall = new Float32Array(width * height).map((_, index) => {
      const [x, y] = [index % width, Math.floor(index / width)];
      const brick = 60 + ((x >> 4) & 7) * 12 + ((y >> 5) & 3) * 8;
      return (brick * gain + offset + (paint?.(x, y) ?? 0)) * (lit?.(x, y) ?? 1);
    });
    this.#last = { gain, offset, paint, lit, wall };
    return wall;
  }

  /** Frames without anything in them; returns those that something was found in. */
  quiet(frames: number): Motion[] {
    return Array.from({ length: frames }, () => this.frame()).filter(isSomething);
  }
}
