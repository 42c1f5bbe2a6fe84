import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Scene, type Square } from './scene.ts';

/** What lies or stands still in the scene: a cat with its stripes, and a parked car. */
const STILL: Square[] = [
  { x: 60, y: 150, side: 36, level: 150 },
  { x: 66, y: 156, side: 8, level: 90 },
  { x: 82, y: 168, side: 8, level: 95 },
  { x: 210, y: 120, side: 60, level: 50 },
  { x: 222, y: 132, side: 20, level: 120 },
];

type Lit = (x: number, y: number) => number;

/** Shows the scene in one light after another; returns the numbers of the frames in which something moved. */
function movesIn(lights: (Lit | undefined)[], squares = (_frame: number): Square[] => STILL): number[] {
  const scene = new Scene({}, 4);
  for (let frame = 0; frame < 20; frame++) scene.frame({ squares: STILL });
  return lights.flatMap((lit, frame) =>
    scene.frame({ squares: squares(frame), lit }).moving.length > 0 ? [frame] : [],
  );
}

const always = (lit: Lit): Lit[] => Array.from({ length: 20 }, () => lit);
const smooth = (share: number) => 1 / (1 + Math.exp(-share));

describe('light is not motion', () => {
  it('when a lamp lights half of the frame, with a hard edge', () => {
    assert.deepEqual(movesIn(always((x) => (x < 170 ? 1.6 : 1))), []);
    assert.deepEqual(movesIn(always((x, y) => (x + y < 230 ? 1.5 : 1))), []);
    assert.deepEqual(movesIn(always((_x, y) => (y > 110 ? 0.6 : 1))), []);
  });

  it('when a lamp lights half of the frame, with a soft edge', () => {
    assert.deepEqual(movesIn(always((x) => 1 + 0.7 * smooth((150 - x) / 20))), []);
    assert.deepEqual(
      movesIn(always((x, y) => 1 + 0.8 * Math.exp(-(((x - 80) / 70) ** 2) - ((y - 160) / 60) ** 2))),
      [],
    );
  });

  it('when the lamp goes on and off again', () => {
    const lit: Lit = (x) => (x < 170 ? 1.6 : 1);
    const lights = Array.from({ length: 40 }, (_, frame) => (frame % 10 < 5 ? lit : undefined));
    assert.deepEqual(movesIn(lights), []);
  });

  it('when headlights sweep over it', () => {
    const lights = Array.from({ length: 30 }, (_, frame): Lit => {
      return (x, y) => 1 + 0.9 * Math.exp(-(((x - frame * 11) / 40) ** 2) - ((y - 140) / 60) ** 2);
    });
    assert.deepEqual(movesIn(lights), []);
  });

  it('when exposure pumps', () => {
    const lights = Array.from(
      { length: 30 },
      (_, frame): Lit =>
        () =>
          1 + 0.25 * Math.sin(frame / 2),
    );
    assert.deepEqual(movesIn(lights), []);
  });

  it('when mains light makes bands that travel', () => {
    const lights = Array.from({ length: 40 }, (_, frame): Lit => {
      return (_x, y) => 1 + 0.15 * Math.sin(y / 25 + frame * 1.3);
    });
    assert.deepEqual(movesIn(lights), []);
  });

  it('when a camera switches to infrared light', () => {
    const centre: Lit = (x, y) => 0.5 + 1.1 * Math.exp(-(((x - 160) / 110) ** 2) - ((y - 120) / 90) ** 2);
    assert.deepEqual(movesIn([...always(centre), ...Array.from({ length: 20 }, () => undefined)]), []);
  });
});

it('reports why nothing is analysed', () => {
  const scene = new Scene({}, 4);
  scene.quiet(20);
  assert.equal(scene.frame({ lit: (x) => (x < 170 ? 1.6 : 1) }).relit, true);
  assert.equal(scene.frame({ lit: (x) => (x < 170 ? 1.6 : 1) }).relit, false);
});

describe('moving objects are detected in any light', () => {
  const cases: [string, (frame: number) => Lit | undefined][] = [
    ['in half a lamp with a hard edge', () => (x) => (x < 170 ? 1.6 : 1)],
    ['in half a lamp with a soft edge', () => (x) => 1 + 0.7 * smooth((150 - x) / 20)],
    ['while a lamp flickers', (frame) => (frame % 4 < 2 ? (x) => (x < 170 ? 1.5 : 1) : undefined)],
    ['in bands', (frame) => (_x, y) => 1 + 0.15 * Math.sin(y / 25 + frame * 1.3)],
    ['in headlights', (frame) => (x) => 1 + 0.8 * Math.exp(-(((x - frame * 11) / 40) ** 2))],
  ];
  for (const [name, light] of cases) {
    it(name, () => {
      const lights = Array.from({ length: 24 }, (_, frame) => light(frame));
      const seen = movesIn(lights, (frame) => [
        ...STILL,
        { x: 10 + frame * 10, y: 40, side: 36, level: 200 },
      ]);
      assert.ok(seen.length >= 20, `in ${seen.length} of 24 frames`);
    });
  }
});
