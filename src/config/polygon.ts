/** Checks that the corners of a zone form a simple polygon. */

type Point = readonly [number, number];

/** Fractions of the frame below which a distance or an area counts as zero. */
const TINY = 1e-9;
const SMALLEST_AREA = 0.0001;

/**
 * Finds edges that cross, touch or overlap, and polygons without an area. Corners are fractions of the frame. The first
 * corner may be repeated at the end.
 * @returns what was expected and found, or null for a simple polygon
 */
export function polygonFlaw(corners: readonly Point[]): string | null {
  const points = corners.filter((corner, i) => !same(corner, corners[(i + 1) % corners.length]!));
  const number = (point: Point) => corners.indexOf(point) + 1;
  const edges = points.map((from, i) => ({ from, to: points[(i + 1) % points.length]! }));
  if (points.length < 3 || doubleArea(points) < 2 * SMALLEST_AREA) {
    const collinear = points.every((point) => side(points[0]!, points[1] ?? point, point) === 0);
    if (points.length < 3 || collinear)
      return 'expected corners that enclose part of the frame, found a line or a point';
  }
  for (const [i, first] of edges.entries()) {
    for (const [j, second] of edges.entries()) {
      if (j <= i) continue;
      const meeting = j === i + 1 ? first.to : i === 0 && j === edges.length - 1 ? first.from : null;
      const at = contact(first, second, meeting);
      if (at === null) continue;
      const names = [first, second].map(({ from, to }) => `${number(from)}–${number(to)}`);
      const how = meeting ? 'double back on each other' : 'meet';
      return `expected corners in order around the area, found edges ${names.join(' and ')} that ${how} at [${at.map(round).join(', ')}]`;
    }
  }
  return doubleArea(points) < 2 * SMALLEST_AREA
    ? 'expected corners that enclose part of the frame, found almost no area'
    : null;
}

interface Edge {
  from: Point;
  to: Point;
}

/** The point where two edges meet other than in the corner that they share, or null. */
function contact(a: Edge, b: Edge, shared: Point | null): Point | null {
  const ends = [a.from, a.to, b.from, b.to].filter((point) => shared === null || !same(point, shared));
  const touching = ends.find((point) => isOn(point, a) && isOn(point, b));
  if (touching || shared) return touching ?? null;
  const crosses =
    side(a.from, a.to, b.from) * side(a.from, a.to, b.to) < 0 &&
    side(b.from, b.to, a.from) * side(b.from, b.to, a.to) < 0;
  if (!crosses) return null;
  const [dx, dy] = [a.to[0] - a.from[0], a.to[1] - a.from[1]];
  const [ex, ey] = [b.to[0] - b.from[0], b.to[1] - b.from[1]];
  const share = ((b.from[0] - a.from[0]) * ey - (b.from[1] - a.from[1]) * ex) / (dx * ey - dy * ex);
  return [a.from[0] + share * dx, a.from[1] + share * dy];
}

/** The side of the line from `a` to `b` on which a point is: -1, 0 or 1. */
function side(a: Point, b: Point, [x, y]: Point): number {
  const cross = (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]);
  return Math.abs(cross) < TINY ? 0 : Math.sign(cross);
}

function isOn(point: Point, { from, to }: Edge): boolean {
  return (
    side(from, to, point) === 0 &&
    (point[0] - from[0]) * (point[0] - to[0]) + (point[1] - from[1]) * (point[1] - to[1]) <= TINY
  );
}

/** Twice the area of a polygon (the shoelace formula). */
function doubleArea(points: readonly Point[]): number {
  const terms = points.map(([x, y], i) => {
    const [nextX, nextY] = points[(i + 1) % points.length]!;
    return x * nextY - nextX * y;
  });
  return Math.abs(terms.reduce((sum, term) => sum + term, 0));
}

const same = (a: Point, b: Point) => Math.abs(a[0] - b[0]) < TINY && Math.abs(a[1] - b[1]) < TINY;
const round = (value: number) => Math.round(value * 1000) / 1000;
