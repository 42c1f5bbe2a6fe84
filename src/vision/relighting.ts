/**
 * Tells light from motion where only a part of the frame changes: a lamp, headlights, a shadow. What is only lit
 * differently keeps its structure, so the brightness steps between neighbouring cells keep their sign and about their
 * size; what moves brings and hides edges. Each changed cell votes, and its surroundings decide:
 *
 *   steps kept  > steps new or gone   relit: the background takes the new light at once
 *   no steps at all                   a soft change of a plain surface: light, too
 *   else                              motion
 *
 * The sharp border of a light is a new edge; it goes with the light that it lies beside, because it is thin.
 */

import { LEVEL } from '../pixels/kernels.ts';
import type { Background } from './background.ts';
import type { Cluster } from './clusters.ts';

/** Cells across and down that vote together; the eight blocks around each have a say in it. */
const BLOCK = 4;
/** A step between two cells counts from so many levels + so many times their jitter. */
const STEP_LEAST = 2;
const STEP_SPREAD = 2.5;
/** Light changes a step by no more than this factor, up or down. */
const MOST_GAIN = 2.5;
/** A step that is fainter than so many times the least may as well have come from noise. */
const FAINT = 1.25;
/** A few steps may be noise. */
const LEAST_VOTES = 3;

/** So many cells around a thing that moves belong to it, or to its shadow. */
const NEAR = 8;

/** What becomes of the changed cells of a block; NONE: outside of the frame. */
const NONE = 0;
const MOTION = 1;
const SOFT = 2;
const RELIT = 3;

export class Relighting {
  readonly #width: number;
  readonly #blocksAcross: number;
  /** The block of each cell. */
  readonly #blocks: Uint16Array;
  /** Votes of each block, with a border of empty blocks around them, and what follows from those. */
  readonly #kept: Int16Array;
  readonly #broken: Int16Array;
  readonly #verdicts: Uint8Array;
  /** Cells that changed and do not show motion by themselves. */
  readonly #aside: Int32Array;
  #asideCount = 0;
  readonly #todo: Int32Array;
  readonly #thick: Uint8Array;

  /** @param grid size in cells */
  constructor({ width, height }: { width: number; height: number }) {
    this.#width = width;
    this.#blocksAcross = Math.ceil(width / BLOCK) + 2;
    const blocks = this.#blocksAcross * (Math.ceil(height / BLOCK) + 2);
    this.#blocks = Uint16Array.from({ length: width * height }, (_, cell) => {
      const [x, y] = [cell % width, Math.floor(cell / width)];
      return (Math.floor(y / BLOCK) + 1) * this.#blocksAcross + Math.floor(x / BLOCK) + 1;
    });
    this.#kept = new Int16Array(blocks);
    this.#broken = new Int16Array(blocks);
    this.#verdicts = new Uint8Array(blocks);
    this.#todo = new Int32Array(blocks);
    this.#thick = new Uint8Array(blocks);
    this.#aside = new Int32Array(width * height);
  }

  /**
   * Takes the cells out of those that changed that do not show motion by themselves.
   * @param cells brightness now, in 1/64 level
   */
  explain(cells: Int16Array, background: Background): void {
    const { changed, mask } = background;
    this.#vote(cells, background, changed);
    this.#judge();
    let left = 0;
    this.#asideCount = 0;
    for (let index = 0; index < changed.length; index++) {
      const cell = changed[index]!;
      if (this.#verdicts[this.#blocks[cell]!] === MOTION) changed[left++] = cell;
      else {
        mask[cell] = 0;
        this.#aside[this.#asideCount++] = cell;
      }
    }
    background.keepChanged(left);
  }

  /**
   * Gives what was taken out back to the things that move around it: a plain coat looks like a soft change of light, and a
   * car may have the structure of the road before it.
   * @param clusters of what is left; their cells are counted up
   * @param mask becomes 1 for each cell that shows motion, or is not known to be light
   * @returns how many cells are only lit differently
   */
  settle(clusters: readonly Cluster[], { changed, mask }: Background): number {
    for (let index = 0; index < changed.length; index++) mask[changed[index]!] = 1;
    let relit = 0;
    for (let index = 0; index < this.#asideCount; index++) {
      const cell = this.#aside[index]!;
      const around = this.#clusterAround(clusters, cell);
      if (around) around.cells++;
      if (around || this.#verdicts[this.#blocks[cell]!] === SOFT) mask[cell] = 1;
      else relit++;
    }
    return relit;
  }

  #clusterAround(clusters: readonly Cluster[], cell: number): Cluster | null {
    const x = cell % this.#width;
    const y = (cell - x) / this.#width;
    for (let index = 0; index < clusters.length; index++) {
      const { left, right, top, bottom } = clusters[index]!;
      const near = x >= left - NEAR && x < right + NEAR && y >= top - NEAR && y < bottom + NEAR;
      if (near) return clusters[index]!;
    }
    return null;
  }

  /** Compares the steps from each changed cell to its right and lower neighbour with those in the background. */
  #vote(cells: Int16Array, { mean, noise }: Background, changed: Int32Array): void {
    const width = this.#width;
    const blocks = this.#blocks;
    const kept = this.#kept.fill(0);
    const broken = this.#broken.fill(0);
    for (let index = 0; index < changed.length; index++) {
      const cell = changed[index]!;
      const block = blocks[cell]!;
      const least = STEP_LEAST * LEVEL + STEP_SPREAD * noise[cell]!;
      const before = mean[cell]!;
      const now = cells[cell]!;
      for (let down = 0; down < 2; down++) {
        // The last cell of a line is compared with the first of the next one, and the last line with nothing.
        const next = cell + (down === 0 ? 1 : width);
        if (next >= cells.length) break;
        const stepBefore = mean[next]! - before;
        const stepNow = cells[next]! - now;
        const sizeBefore = Math.abs(stepBefore);
        const sizeNow = Math.abs(stepNow);
        const large = Math.max(sizeNow, sizeBefore);
        if (large < least) continue;
        const small = Math.min(sizeNow, sizeBefore);
        if (stepBefore * stepNow > 0 && large <= MOST_GAIN * small) kept[block]!++;
        else if (large >= FAINT * least) broken[block]!++;
      }
    }
  }

  #judge(): void {
    const across = this.#blocksAcross;
    const [kept, broken, verdicts] = [this.#kept, this.#broken, this.#verdicts];
    for (let block = across + 1; block < verdicts.length - across - 1; block++) {
      const column = block % across;
      if (column === 0 || column === across - 1) continue;
      let [same, other] = [0, 0];
      for (let row = block - across; row <= block + across; row += across) {
        same += kept[row - 1]! + kept[row]! + kept[row + 1]!;
        other += broken[row - 1]! + broken[row]! + broken[row + 1]!;
      }
      if (same > other && same >= LEAST_VOTES) verdicts[block] = RELIT;
      else verdicts[block] = other < LEAST_VOTES ? SOFT : MOTION;
    }
    this.#spread();
  }

  /**
   * Takes light to where structure alone does not show it: to soft changes beside it, and to its own sharp borders, which
   * are thinner than a thing that moves (a morphological opening: J. Serra, "Image Analysis and Mathematical
   * Morphology", 1982).
   */
  #spread(): void {
    const across = this.#blocksAcross;
    const [verdicts, todo, thick] = [this.#verdicts, this.#todo, this.#thick];
    let waiting = 0;
    for (let block = 0; block < verdicts.length; block++)
      if (verdicts[block] === RELIT) todo[waiting++] = block;
    if (waiting === 0) return;
    thick.fill(0);
    for (let block = 2 * across + 2; block < verdicts.length - 2 * across - 2; block++) {
      if (this.#isThick(block)) markAround(thick, block, across);
    }
    while (waiting > 0) {
      const block = todo[--waiting]!;
      for (let row = block - across; row <= block + across; row += across) {
        for (let next = row - 1; next <= row + 1; next++) {
          if (verdicts[next] === RELIT || verdicts[next] === NONE || thick[next] === 1) continue;
          verdicts[next] = RELIT;
          todo[waiting++] = next;
        }
      }
    }
  }

  /** Whether a block lies in the middle of five by five with motion. */
  #isThick(block: number): boolean {
    const across = this.#blocksAcross;
    for (let row = block - 2 * across; row <= block + 2 * across; row += across) {
      for (let at = row - 2; at <= row + 2; at++) if (this.#verdicts[at] !== MOTION) return false;
    }
    return true;
  }
}

/** Marks five by five blocks. */
function markAround(marks: Uint8Array, block: number, across: number): void {
  for (let row = block - 2 * across; row <= block + 2 * across; row += across)
    marks.fill(1, row - 2, row + 3);
}
