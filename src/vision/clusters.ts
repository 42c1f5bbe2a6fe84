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

/** Cells at most this far apart belong together: clothes may look like the wall behind them. */
const REACH = 2;
/** A changed cell counts if at least this many of its neighbours changed too. */
const NEIGHBOURS = 2;

/** Values of the mask. */
const CHANGED = 1;
const CONNECTED = 2;

/** Finds clusters in the masks of one grid. Allocates nothing per cell. */
export class ClusterFinder {
  readonly #width: number;
  readonly #height: number;
  /** Cells whose neighbours must be visited. */
  readonly #todo: Int32Array;

  constructor({ width, height }: { width: number; height: number }) {
    this.#width = width;
    this.#height = height;
    this.#todo = new Int32Array(width * height);
  }

  /**
   * Finds the clusters by flood fill. Ignores isolated cells, which are noise.
   * @param mask 1 for each changed cell, in rows; overwritten
   * @param changed indices of the changed cells
   */
  find(mask: Uint8Array, changed: Int32Array): Cluster[] {
    for (const cell of changed) if (this.#neighbours(mask, cell) >= NEIGHBOURS) mask[cell] = CONNECTED;
    const clusters: Cluster[] = [];
    for (const cell of changed) if (mask[cell] === CONNECTED) clusters.push(this.#fill(mask, cell));
    return clusters;
  }

  /** Number of changed cells around a cell. */
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

  /** Removes the cluster that contains `first` from the mask and returns it. */
  #fill(mask: Uint8Array, first: number): Cluster {
    const width = this.#width;
    const todo = this.#todo;
    const cluster = { left: width, top: this.#height, right: 0, bottom: 0, cells: 0 };
    let pending = 0;
    todo[pending++] = first;
    mask[first] = 0;
    while (pending > 0) {
      const cell = todo[--pending]!;
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
          if (mask[at] !== CONNECTED) continue;
          mask[at] = 0;
          todo[pending++] = at;
        }
      }
    }
    return cluster;
  }
}
