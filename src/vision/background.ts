/**
 * The background model of each grid cell: its brightness when nothing moves and the jitter of that brightness, as an
 * exponential moving average and mean absolute deviation.
 */
import { LEVEL } from '../pixels/kernels.ts';
import type { Lighting } from './lighting.ts';

/** Initial jitter, and the limit of what a single difference counts for, in levels. */
const INITIAL_NOISE = 3;
const MAX_NOISE = 30;

/** How far a cell must differ from its background to count as changed: `least` levels + `spread` × its jitter. */
export interface Tolerance {
  least: number;
  spread: number;
}

export class Background {
  /** Brightness and jitter of each cell, in 1/64 level. */
  readonly mean: Float32Array;
  readonly noise: Float32Array;
  /** 1 for each cell that differs from the background under the current light. */
  readonly mask: Uint8Array;
  readonly #changed: Int32Array;
  #changedCount = 0;

  constructor(cells: Int16Array) {
    this.mean = Float32Array.from(cells);
    this.noise = new Float32Array(cells.length).fill(INITIAL_NOISE * LEVEL);
    this.#changed = new Int32Array(cells.length);
    this.mask = new Uint8Array(cells.length);
  }

  /** Indices of the cells that changed at the last `compare`. */
  get changed(): Int32Array {
    return this.#changed.subarray(0, this.#changedCount);
  }

  /** Keeps only the first `count` of `changed`. */
  keepChanged(count: number): void {
    this.#changedCount = count;
  }

  /**
   * Finds the cells that changed.
   * @returns how many cells would have changed without the correction for light
   */
  compare(cells: Int16Array, { gain, offset }: Lighting, { least, spread }: Tolerance): number {
    const { mean, noise } = this;
    const changed = this.#changed;
    const mask = this.mask.fill(0);
    const floor = least * LEVEL;
    let count = 0;
    let withoutLight = 0;
    for (let index = 0; index < cells.length; index++) {
      const before = mean[index]!;
      const now = cells[index]!;
      const tolerance = floor + spread * noise[index]!;
      const difference = now - before;
      if (difference > tolerance || -difference > tolerance) withoutLight++;
      const unexplained = now - gain * before - offset;
      if (unexplained > tolerance || -unexplained > tolerance) {
        mask[index] = 1;
        changed[count++] = index;
      }
    }
    this.#changedCount = count;
    return withoutLight;
  }

  /**
   * Blends the frame into the background.
   * @param quiet weight of the frame, 0…1, in cells that have not changed
   * @param changed the same in cells that have: an object that stays becomes background, one that keeps moving noise
   */
  learn(cells: Int16Array, { gain, offset }: Lighting, quiet: number, changed: number): void {
    const { mean, noise, mask } = this;
    const most = MAX_NOISE * LEVEL;
    for (let index = 0; index < cells.length; index++) {
      const expected = gain * mean[index]! + offset;
      const difference = cells[index]! - expected;
      const rate = mask[index] === 1 ? changed : quiet;
      mean[index] = expected + rate * difference;
      noise[index]! += rate * (Math.min(most, Math.abs(difference)) - noise[index]!);
    }
  }

  /** Replaces the background by the frame and keeps the jitter. */
  adopt(cells: Int16Array): void {
    this.mean.set(cells);
  }

  /** The same, but only in cells that have not changed except for their light. */
  adoptUnchanged(cells: Int16Array): void {
    const { mean, mask } = this;
    for (let index = 0; index < cells.length; index++) if (mask[index] === 0) mean[index] = cells[index]!;
  }
}
