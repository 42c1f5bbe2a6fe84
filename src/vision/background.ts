/**
 * What each cell of the picture looks like when nothing moves: its brightness and how much that jitters, both
 * learnt as they go (an exponentially forgetting mean and mean absolute deviation).
 */
import { LEVEL } from '../pixels/kernels.ts';
import type { Lighting } from './lighting.ts';

/** Jitter that is assumed at first, and the most that one difference counts for, in levels. */
const FIRST_NOISE = 3;
const MOST_NOISE = 30;

/** How far a cell must differ from its background to count as changed: `least` levels + `spread` × its jitter. */
export interface Tolerance {
  least: number;
  spread: number;
}

export class Background {
  /** Brightness and jitter of each cell, in 1/64 level. */
  readonly mean: Float32Array;
  readonly noise: Float32Array;
  /** Cells that differ from the background under the present light: 1 for each. */
  readonly mask: Uint8Array;
  readonly #changed: Int32Array;
  #changedCount = 0;

  constructor(cells: Int16Array) {
    this.mean = Float32Array.from(cells);
    this.noise = new Float32Array(cells.length).fill(FIRST_NOISE * LEVEL);
    this.#changed = new Int32Array(cells.length);
    this.mask = new Uint8Array(cells.length);
  }

  /** Numbers of the cells that changed at the last `compare`. */
  get changed(): Int32Array {
    return this.#changed.subarray(0, this.#changedCount);
  }

  /** Leaves only the first so many of `changed`. */
  keepChanged(count: number): void {
    this.#changedCount = count;
  }

  /**
   * Finds the cells that changed.
   * @returns how many would have changed had the light stayed as it was
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
   * Takes the picture into the background.
   * @param quiet how much of it, 0…1, where a cell has not changed
   * @param changed the same where it has: what stays there becomes background, what keeps moving there noise
   */
  learn(cells: Int16Array, { gain, offset }: Lighting, quiet: number, changed: number): void {
    const { mean, noise, mask } = this;
    const most = MOST_NOISE * LEVEL;
    for (let index = 0; index < cells.length; index++) {
      const expected = gain * mean[index]! + offset;
      const difference = cells[index]! - expected;
      const rate = mask[index] === 1 ? changed : quiet;
      mean[index] = expected + rate * difference;
      noise[index]! += rate * (Math.min(most, Math.abs(difference)) - noise[index]!);
    }
  }

  /** Makes the picture the background, keeping what is known of the jitter. */
  adopt(cells: Int16Array): void {
    this.mean.set(cells);
  }

  /** The same where nothing has changed, or only its light. */
  adoptUnchanged(cells: Int16Array): void {
    const { mean, mask } = this;
    for (let index = 0; index < cells.length; index++) if (mask[index] === 0) mean[index] = cells[index]!;
  }
}
