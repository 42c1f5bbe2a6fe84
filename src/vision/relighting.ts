/**
 * Distinguishes light from motion where only a part of the frame changes: a lamp, headlights, a shadow. A surface that is
 * only lit differently keeps its structure, so the brightness steps between neighbouring cells keep their sign and about
 * their size. A moving object adds and hides edges. Each changed cell votes, and its surroundings decide:
 *
 *   steps kept  > steps new or gone   relit: the background adopts the new light immediately
 *   no steps at all                   a soft change of a plain surface: also light
 *   else                              motion
 *
 * The sharp border of a light is a new edge. It counts as light because it is thin and next to light.
 */

import { LEVEL } from '../pixels/kernels.ts';
import type { Background } from './background.ts';
import type { Cluster } from './clusters.ts';

/** Width and height in cells of a block that votes together; the eight blocks around it are counted in. */
const BLOCK = 4;
/** A step between two cells counts from this many levels + this many times their jitter. */
const STEP_LEAST = 2;
const STEP_SPREAD = 2.5;
/** Light changes a step by no more than this factor, up or down. */
const MOST_GAIN = 2.5;
/** A step below this multiple of the smallest step that counts may be noise. */
const FAINT = 1.25;
/** Fewer votes may be noise. */
const LEAST_VOTES = 3;

/** Cells at most this far from a moving object belong to it, or to its shadow. */
const NEAR = 8;

/** Verdicts on the changed cells of a block; NONE: outside the frame. */
const NONE = 0;
const MOTION = 1;
const SOFT = 2;
const RELIT = 3;

export class Relighting {
  readonly #width: number;
  readonly #blocksAcross: number;
  /** The block of each cell. */
  readonly #blocks: Uint16Array;
  /** Votes and verdict of each block, with a border of empty blocks around them. */
  readonly #kept: Int16Array;
  readonly #broken: Int16Array;
  readonly #verdicts: Uint8Array;
  /** Changed cells that do not show motion on their own. */
  readonly #removed: Int32Array;
  #removedCount = 0;
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
    this.#removed = new Int32Array(width * height);
  }

  /**
   * Removes cells that do not show motion on their own from the changed cells.
   * @param cells current brightness, in 1/64 level
   */
  explain(cells: Int16Array, background: Background): void {
    const { changed, mask } = background;
    this.#vote(cells, background, changed);
    this.#judge();
    let left = 0;
    this.#removedCount = 0;
    for (let index = 0; index < changed.length; index++) {
      const cell = changed[index]!;
      if (this.#verdicts[this.#blocks[cell]!] === MOTION) changed[left++] = cell;
      else {
        mask[cell] = 0;
        this.#removed[this.#removedCount++] = cell;
      }
    }
    background.keepChanged(left);
  }

  /**
   * Returns removed cells to the moving objects around them: a plain coat looks like a soft change of light, and a car may
   * have the structure of the road behind it.
   * @param clusters of the remaining cells; returned cells are added to their counts
   * @param mask becomes 1 for each cell that shows motion, or is not known to be light
   * @returns number of cells that are only lit differently
   */
  settle(clusters: readonly Cluster[], { changed, mask }: Background): number {
    for (let index = 0; index < changed.length; index++) mask[changed[index]!] = 1;
    let relit = 0;
    for (let index = 0; index < this.#removedCount; index++) {
      const cell = this.#removed[index]!;
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
        // The last cell of a row is compared with the first of the next row, and the last row with nothing.
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
   * Spreads light to where structure alone does not show it: to soft changes next to it, and to its own sharp borders,
   * which are thinner than a moving object (a morphological opening: J. Serra, "Image Analysis and Mathematical
   * Morphology", 1982).
   */
  #spread(): void {
    const across = this.#blocksAcross;
    const [verdicts, todo, thick] = [this.#verdicts, this.#todo, this.#thick];
    let pending = 0;
    for (let block = 0; block < verdicts.length; block++)
      if (verdicts[block] === RELIT) todo[pending++] = block;
    if (pending === 0) return;
    thick.fill(0);
    for (let block = 2 * across + 2; block < verdicts.length - 2 * across - 2; block++) {
      if (this.#isThick(block)) markAround(thick, block, across);
    }
    while (pending > 0) {
      const block = todo[--pending]!;
      for (let row = block - across; row <= block + across; row += across) {
        for (let next = row - 1; next <= row + 1; next++) {
          if (verdicts[next] === RELIT || verdicts[next] === NONE || thick[next] === 1) continue;
          verdicts[next] = RELIT;
          todo[pending++] = next;
        }
      }
    }
  }

  /** Whether a block is the centre of five by five blocks with motion. */
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
