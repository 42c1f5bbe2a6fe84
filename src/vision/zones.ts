/** Geometry of zones and regions, in fractions of the upright frame. */
import { intersectionOf } from '../runtime/box.ts';
import type { Box } from '../types.ts';

export type Polygon = readonly (readonly [number, number])[];

/** The smallest box around a polygon. */
export function boundsOf(polygon: Polygon): Box {
  const xs = polygon.map(([x]) => x);
  const ys = polygon.map(([, y]) => y);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, w: Math.max(...xs) - x, h: Math.max(...ys) - y };
}

/**
 * The common area of a polygon and a box. Clips the polygon at each side of the box in turn
 * (Sutherland and Hodgman, "Reentrant polygon clipping", 1974).
 */
export function commonArea(polygon: Polygon, box: Box): number {
  let points = polygon;
  points = clip(points, ([x]) => x - box.x);
  points = clip(points, ([x]) => box.x + box.w - x);
  points = clip(points, ([, y]) => y - box.y);
  points = clip(points, ([, y]) => box.y + box.h - y);
  return areaOf(points);
}

/** The part of a polygon where `inside` is not negative; `inside` is linear. */
function clip(polygon: Polygon, inside: (point: readonly [number, number]) => number): Polygon {
  const result: [number, number][] = [];
  for (const [index, end] of polygon.entries()) {
    const start = polygon.at(index - 1)!;
    const [from, to] = [inside(start), inside(end)];
    if (from < 0 !== to < 0) {
      const part = from / (from - to);
      result.push([start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])]);
    }
    if (to >= 0) result.push([end[0], end[1]]);
  }
  return result;
}

function areaOf(polygon: Polygon): number {
  let twice = 0;
  for (const [index, [x, y]] of polygon.entries()) {
    const [beforeX, beforeY] = polygon.at(index - 1)!;
    twice += beforeX * y - x * beforeY;
  }
  return Math.abs(twice) / 2;
}

/** The common area of two boxes, as a share of the smaller one. */
export function overlapOf(a: Box, b: Box): number {
  const both = intersectionOf(a, b);
  return both === 0 ? 0 : both / Math.min(a.w * a.h, b.w * b.h);
}

/** The smallest box around two. */
export function unionOf(a: Box, b: Box): Box {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  return { x, y, w: Math.max(a.x + a.w, b.x + b.w) - x, h: Math.max(a.y + a.h, b.y + b.h) - y };
}
