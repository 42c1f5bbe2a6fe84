/** Geometry of boxes, in whatever unit they share. */
import type { Box } from '../types.ts';

/** The area that two boxes have in common. */
export function intersectionOf(a: Readonly<Box>, b: Readonly<Box>): number {
  const w = Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x);
  const h = Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y);
  return w > 0 && h > 0 ? w * h : 0;
}

/** Intersection over union, 0…1. */
export function iouOf(a: Readonly<Box>, b: Readonly<Box>): number {
  const both = intersectionOf(a, b);
  return both === 0 ? 0 : both / (a.w * a.h + b.w * b.h - both);
}

/** The share of `box` that `other` covers, 0…1. */
export function coverageOf(box: Readonly<Box>, other: Readonly<Box>): number {
  return intersectionOf(box, other) / (box.w * box.h);
}
