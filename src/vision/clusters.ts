/** Groups of changed cells that lie close together. */

/** Cells from `left`, `top` up to, not including, `right`, `bottom`. */
export interface Cluster {
  left: number;
  top: number;
  right: number;
  bottom: number;
  /** Changed cells in it. */
  cells: number;
}

/** Cells this far apart belong together: clothes may look like the wall behind them. */
const REACH = 2;
/** A changed cell counts if so many of its neighbours changed too. */
const NEIGHBOURS = 2;

/** Marks in a mask. */
const CHANGED = 1;
const SOCIABLE = 2;

/** Finds clusters in the masks of one grid; nothing is allocated for a cell. */
export class ClusterFinder {
  readonly #width: number;
  readonly #height: number;
  /** Cells whose surroundings are to be looked at. */
  readonly #todo: Int32Array;

  constructor({ width, height }: { width: number; height: number }) {
    this.#width = width;
    this.#height = height;
    this.#todo = new Int32Array(width * height);
  }

  /**
   * Finds the clusters by flood fill. Lonely cells, which are noise, are left out.
   * @param mask 1 for each changed cell, in rows; used up
   * @param changed numbers of the changed cells
   */
  find(mask: Uint8Array, changed: Int32Array): Cluster[] {
    for (const cell of changed) if (this.#neighbours(mask, cell) >= NEIGHBOURS) mask[cell] = SOCIABLE;
    const clusters: Cluster[] = [];
    for (const cell of changed) if (mask[cell] === SOCIABLE) clusters.push(this.#fill(mask, cell));
    return clusters;
  }

  /** How many of the cells around one have changed. */
  #neighbours(mask: Uint8Array, cell: number): number {
    const width = this.#width;
    const x = cell % width;
    const y = (cell - x) / width;
    const [left, right] = [Math.max(0, x - 1), Math.min(width - 1, x + 1)];
    const bottom = Math.min(this.#height - 1, y + 1);
    let count = -1;
    for (let row = Math.max(0, y - 1); row <= bottom; row++) {
      for (let at = row * width + left; at <= row * width + right; at++) if (mask[at]! >= CHANGED) count++;
    }
    return count;
  }

  /** Takes the cluster that `first` belongs to out of the mask. */
  #fill(mask: Uint8Array, first: number): Cluster {
    const width = this.#width;
    const todo = this.#todo;
    const cluster = { left: width, top: this.#height, right: 0, bottom: 0, cells: 0 };
    let waiting = 0;
    todo[waiting++] = first;
    mask[first] = 0;
    while (waiting > 0) {
      const cell = todo[--waiting]!;
      const x = cell % width;
      const y = (cell - x) / width;
      cluster.left = Math.min(cluster.left, x);
      cluster.top = Math.min(cluster.top, y);
      cluster.right = Math.max(cluster.right, x + 1);
      cluster.bottom = Math.max(cluster.bottom, y + 1);
      cluster.cells++;
      const [left, right] = [Math.max(0, x - REACH), Math.min(width - 1, x + REACH)];
      const bottom = Math.min(this.#height - 1, y + REACH);
      for (let row = Math.max(0, y - REACH); row <= bottom; row++) {
        for (let at = row * width + left; at <= row * width + right; at++) {
          if (mask[at] !== SOCIABLE) continue;
          mask[at] = 0;
          todo[waiting++] = at;
        }
      }
    }
    return cluster;
  }
}
