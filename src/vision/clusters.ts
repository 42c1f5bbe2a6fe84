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

/**
 * Finds the clusters by flood fill. Lonely cells, which are noise, are left out.
 * @param mask 1 for each changed cell of a grid `width` cells wide; used up
 * @param changed numbers of the changed cells
 */
export function findClusters(mask: Uint8Array, width: number, changed: Int32Array): Cluster[] {
  const sociable = changed.filter((cell) => around(mask, width, cell, 1).length >= NEIGHBOURS);
  mask.fill(0);
  for (const cell of sociable) mask[cell] = 1;

  const clusters: Cluster[] = [];
  for (const first of sociable) {
    if (mask[first] === 0) continue;
    const cluster = { left: width, top: mask.length, right: 0, bottom: 0, cells: 0 };
    const todo = [first];
    mask[first] = 0;
    for (let cell = todo.pop(); cell !== undefined; cell = todo.pop()) {
      const x = cell % width;
      const y = (cell - x) / width;
      cluster.left = Math.min(cluster.left, x);
      cluster.top = Math.min(cluster.top, y);
      cluster.right = Math.max(cluster.right, x + 1);
      cluster.bottom = Math.max(cluster.bottom, y + 1);
      cluster.cells++;
      for (const other of around(mask, width, cell, REACH)) {
        mask[other] = 0;
        todo.push(other);
      }
    }
    clusters.push(cluster);
  }
  return clusters;
}

/** The marked cells at most `reach` away from a cell, which does not count itself. */
function around(mask: Uint8Array, width: number, cell: number, reach: number): number[] {
  const x = cell % width;
  const y = (cell - x) / width;
  const [left, right] = [Math.max(0, x - reach), Math.min(width - 1, x + reach)];
  const bottom = Math.min(mask.length / width - 1, y + reach);
  const found = [];
  for (let row = Math.max(0, y - reach); row <= bottom; row++) {
    for (let other = row * width + left; other <= row * width + right; other++) {
      if (mask[other] === 1 && other !== cell) found.push(other);
    }
  }
  return found;
}
