/**
 * Linear assignment: pairs rows with columns so that the sum of the costs is smallest.
 *
 * Shortest augmenting paths after Jonker and Volgenant (1987), "A Shortest Augmenting Path Algorithm for Dense and
 * Sparse Linear Assignment Problems", in the form of Crouse (2016), "On implementing 2D rectangular assignment
 * algorithms", section II. O(rows² × columns).
 */
export class Assignment {
  #potentials = new Float64Array(0);
  #shortest = new Float64Array(0);
  #rowOf = new Int32Array(0);
  #path = new Int32Array(0);
  #scanned = new Uint8Array(0);

  /**
   * @param costs row after row, each finite or Infinity for a pair that must not be
   * @param columnOf receives the column of each row; -1 for a row that gets none
   * @param limit pairs that cost this much or more are left apart
   */
  solve(costs: Float64Array, rows: number, columns: number, columnOf: Int32Array, limit: number): void {
    columnOf.fill(-1, 0, rows);
    if (rows === 0 || columns === 0) return;
    // A column of its own for each row, which costs the limit: a row that no other column suits stays alone.
    const width = columns + rows;
    this.#reserve(rows, width);
    const rowPotential = this.#potentials.fill(0, 0, rows + width);
    const rowOf = this.#rowOf.fill(-1, 0, width);
    const shortest = this.#shortest;
    const path = this.#path;
    const scanned = this.#scanned;
    const cost = (row: number, column: number): number => {
      if (column < columns) return Math.min(costs[row * columns + column]!, 2 * limit);
      return column - columns === row ? limit : 2 * limit;
    };
    for (let first = 0; first < rows; first++) {
      shortest.fill(Number.POSITIVE_INFINITY, 0, width);
      scanned.fill(0, 0, width);
      let row = first;
      let reached = 0;
      let sink = -1;
      while (sink < 0) {
        let nearest = -1;
        for (let column = 0; column < width; column++) {
          if (scanned[column] === 1) continue;
          const through = reached + cost(row, column) - rowPotential[row]! - rowPotential[rows + column]!;
          if (through < shortest[column]!) {
            shortest[column] = through;
            path[column] = row;
          }
          if (nearest < 0 || shortest[column]! < shortest[nearest]!) nearest = column;
        }
        reached = shortest[nearest]!;
        scanned[nearest] = 1;
        if (rowOf[nearest] === -1) sink = nearest;
        else row = rowOf[nearest]!;
      }
      rowPotential[first]! += reached;
      for (let column = 0; column < width; column++) {
        if (scanned[column] === 0) continue;
        const slack = reached - shortest[column]!;
        rowPotential[rows + column]! -= slack;
        const owner = rowOf[column]!;
        if (owner >= 0) rowPotential[owner]! += slack;
      }
      for (let column = sink; ; ) {
        const from = path[column]!;
        rowOf[column] = from;
        const before = columnOf[from]!;
        columnOf[from] = column;
        if (from === first) break;
        column = before;
      }
    }
    for (let row = 0; row < rows; row++) {
      const column = columnOf[row]!;
      if (column >= columns || costs[row * columns + column]! >= limit) columnOf[row] = -1;
    }
  }

  #reserve(rows: number, width: number): void {
    if (this.#shortest.length >= width && this.#potentials.length >= rows + width) return;
    this.#potentials = new Float64Array(rows + width);
    this.#shortest = new Float64Array(width);
    this.#rowOf = new Int32Array(width);
    this.#path = new Int32Array(width);
    this.#scanned = new Uint8Array(width);
  }
}
