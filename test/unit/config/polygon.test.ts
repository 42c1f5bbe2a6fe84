import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { polygonFlaw } from '../../../src/config/polygon.ts';

type Points = [number, number][];

describe('polygonFlaw', () => {
  it('accepts polygons that go once around an area, in either direction', () => {
    const good: Points[] = [
      [
        [0, 0],
        [1, 0],
        [1, 1],
      ],
      [
        [0, 0],
        [1, 0],
        [1, 1],
        [0, 1],
      ],
      [
        [0, 0],
        [0, 1],
        [1, 1],
        [1, 0],
      ],
      // An L, a star, corners on a straight line, and the first corner again at the end.
      [
        [0, 0],
        [1, 0],
        [1, 0.4],
        [0.4, 0.4],
        [0.4, 1],
        [0, 1],
      ],
      [
        [0.5, 0],
        [0.6, 0.4],
        [1, 0.5],
        [0.6, 0.6],
        [0.5, 1],
        [0.4, 0.6],
        [0, 0.5],
        [0.4, 0.4],
      ],
      [
        [0, 0],
        [0.5, 0],
        [1, 0],
        [1, 1],
        [0, 1],
      ],
      [
        [0, 0],
        [1, 0],
        [1, 1],
        [0, 1],
        [0, 0],
      ],
      [
        [0.1, 0.6],
        [0.9, 0.6],
        [0.9, 1],
        [0.1, 1],
      ],
    ];
    for (const points of good) assert.equal(polygonFlaw(points), null, JSON.stringify(points));
  });

  it('names the edges that cross, and where', () => {
    assert.equal(
      polygonFlaw([
        [0, 0],
        [1, 1],
        [1, 0],
        [0, 1],
      ]),
      'expected corners in order around the area, found edges 1–2 and 3–4 that meet at [0.5, 0.5]',
    );
    assert.match(
      polygonFlaw([
        [0, 0],
        [1, 0],
        [0.2, 1],
        [0.5, -0.2 + 0.2],
        [0.8, 1],
      ])!,
      /edges .* that meet at/,
    );
    // A five-pointed star drawn in one go.
    const star: Points = [0, 2, 4, 1, 3].map((i) => {
      const angle = (2 * Math.PI * i) / 5;
      return [0.5 + 0.4 * Math.sin(angle), 0.5 - 0.4 * Math.cos(angle)];
    });
    assert.match(polygonFlaw(star)!, /edges 1–2 and 3–4 that meet/);
  });

  it('rejects a corner that lies on another edge', () => {
    assert.match(
      polygonFlaw([
        [0, 0],
        [1, 0],
        [1, 1],
        [0.5, 0],
        [0, 1],
      ])!,
      /edges 1–2 and 3–4 that meet at \[0.5, 0\]/,
    );
  });

  it('rejects edges that double back', () => {
    assert.match(
      polygonFlaw([
        [0, 0],
        [1, 0],
        [0.5, 0],
        [0.5, 1],
      ])!,
      /edges 1–2 and 2–3 that double back on each other at \[0.5, 0\]/,
    );
    // A hole that is cut out through a bridge.
    const hole: Points = [
      [0, 0],
      [1, 0],
      [1, 1],
      [0, 1],
      [0, 0],
      [0.3, 0.3],
      [0.3, 0.6],
      [0.6, 0.6],
      [0.3, 0.3],
    ];
    assert.match(polygonFlaw(hole)!, /that (meet|double back)/);
  });

  it('rejects a polygon without an area', () => {
    assert.match(
      polygonFlaw([
        [0, 0],
        [1, 1],
        [0.5, 0.5],
      ])!,
      /a line or a point/,
    );
    assert.match(
      polygonFlaw([
        [0.5, 0.5],
        [0.5, 0.5],
        [0.5, 0.5],
      ])!,
      /a line or a point/,
    );
    assert.match(
      polygonFlaw([
        [0, 0],
        [0.001, 0],
        [0.001, 0.001],
        [0, 0.001],
      ])!,
      /almost no area/,
    );
  });
});
