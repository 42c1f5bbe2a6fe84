/** A way over the ground as a line through points (x, z) in metres. */
export type Path = readonly (readonly [x: number, z: number])[];

export function pathLength(path: Path): number {
  let length = 0;
  for (let i = 1; i < path.length; i++) length += distance(path[i - 1]!, path[i]!);
  return length;
}

/** The point after `way` metres; before the start and after the end the line goes straight on. */
export function pointAlong(path: Path, way: number): [x: number, z: number] {
  let left = way;
  for (let i = 1; ; i++) {
    const a = path[i - 1]!;
    const b = path[i]!;
    const length = distance(a, b);
    if (left <= length || i === path.length - 1) {
      const share = left / length;
      return [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share];
    }
    left -= length;
  }
}

/** The direction after `way` metres, smoothed over `reach` metres each way: 0 is to the right, π/2 away. */
export function headingAlong(path: Path, way: number, reach: number): number {
  const [x0, z0] = pointAlong(path, way - reach);
  const [x1, z1] = pointAlong(path, way + reach);
  return Math.atan2(z1 - z0, x1 - x0);
}

function distance(a: readonly [number, number], b: readonly [number, number]): number {
  return Math.hypot(b[0] - a[0], b[1] - a[1]);
}
