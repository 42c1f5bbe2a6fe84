/** The rows of a detector whose boxes are coded as `grid`. */

/** Columns in front of the scores: the box and the probability of any object. */
export const GRID_COLUMNS = 5;

/** Cells of a grid of all strides together. */
export function gridCells(width: number, height: number, strides: readonly number[]): number {
  return strides.reduce((sum, stride) => sum + Math.ceil(width / stride) * Math.ceil(height / stride), 0);
}
