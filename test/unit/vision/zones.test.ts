import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundsOf, commonArea, overlapOf, type Polygon, unionOf } from '../../../src/vision/zones.ts';

const TRIANGLE: Polygon = [
  [0.2, 0.2],
  [0.8, 0.2],
  [0.2, 0.8],
];
/** An L: the square 0…1 without its upper right quarter. */
const HOOK: Polygon = [
  [0, 0],
  [0.5, 0],
  [0.5, 0.5],
  [1, 0.5],
  [1, 1],
  [0, 1],
];
const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}`);

test('the bounds of a polygon are the smallest box around it', () => {
  const { x, y, w, h } = boundsOf(TRIANGLE);
  near(x, 0.2);
  near(y, 0.2);
  near(w, 0.6);
  near(h, 0.6);
});

test('the area in common with a box is exact for boxes inside, across, around and beside', () => {
  near(commonArea(TRIANGLE, { x: 0, y: 0, w: 1, h: 1 }), 0.18);
  near(commonArea(TRIANGLE, { x: 0.25, y: 0.25, w: 0.1, h: 0.1 }), 0.01);
  near(commonArea(TRIANGLE, { x: 0.2, y: 0.2, w: 0.3, h: 0.6 }), 0.135);
  near(commonArea(TRIANGLE, { x: 0.6, y: 0.6, w: 0.2, h: 0.2 }), 0);
  near(commonArea([...TRIANGLE].reverse(), { x: 0, y: 0, w: 1, h: 1 }), 0.18);
});

test('a polygon with a dent does not touch what lies in the dent', () => {
  near(commonArea(HOOK, { x: 0.6, y: 0.1, w: 0.3, h: 0.3 }), 0);
  near(commonArea(HOOK, { x: 0.4, y: 0.4, w: 0.2, h: 0.2 }), 0.03);
});

test('overlap is a share of the smaller box', () => {
  near(overlapOf({ x: 0, y: 0, w: 1, h: 1 }, { x: 0.3, y: 0.3, w: 0.1, h: 0.1 }), 1);
  near(overlapOf({ x: 0, y: 0, w: 0.2, h: 0.2 }, { x: 0.1, y: 0, w: 0.2, h: 0.4 }), 0.5);
  near(overlapOf({ x: 0, y: 0, w: 0.2, h: 0.2 }, { x: 0.2, y: 0, w: 0.2, h: 0.2 }), 0);
});

test('the union of two boxes holds both', () => {
  const { x, y, w, h } = unionOf({ x: 0.1, y: 0.5, w: 0.2, h: 0.1 }, { x: 0.6, y: 0.2, w: 0.1, h: 0.1 });
  near(x, 0.1);
  near(y, 0.2);
  near(w, 0.6);
  near(h, 0.4);
});
