import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PixelMemory } from '../../../src/pixels/kernels.ts';
import { orientationOf } from '../../../src/pixels/orientation.ts';
import { frameBytes } from '../../../src/pixels/plane.ts';
import type { Box, FrameFormat } from '../../../src/types.ts';
import { MotionDetector } from '../../../src/vision/motion.ts';
import {
  SCENE_FORMAT as FORMAT,
  FRAME_MS,
  isSomething,
  MOTION_DEFAULTS,
  Scene,
  type Square,
} from './scene.ts';

function covers(box: Box, { x, y, side }: Square, { width, height } = FORMAT): boolean {
  return (
    box.x * width <= x + 2 &&
    box.y * height <= y + 2 &&
    (box.x + box.w) * width >= x + side - 2 &&
    (box.y + box.h) * height >= y + side - 2
  );
}

test('a moving square is found, and one region covers it', () => {
  const scene = new Scene();
  assert.deepEqual(scene.quiet(20), []);
  for (let step = 0; step < 30; step++) {
    const square = { x: 20 + step * 8, y: 60 + step * 2, side: 40, level: 220 };
    const { moving, share } = scene.frame({ squares: [square] });
    assert.equal(moving.length, 1, `step ${step}`);
    assert.ok(covers(moving[0]!.box, square) && covers(moving[0]!.core, square), `step ${step}`);
    assert.ok(share > 0.01 && share < 0.08, `step ${step}: ${share}`);
    const { w, h } = moving[0]!.box;
    assert.ok(Math.abs(w * FORMAT.width - h * FORMAT.height) < 1e-6, 'the region is square in pixels');
  }
});

test('the region lies in the upright frame, however the camera hangs', () => {
  const format = { ...FORMAT, width: 320, height: 240 };
  const scene = new Scene({}, 6, format, { rotate: 90, mirror: 'none' });
  scene.quiet(10);
  const { moving } = scene.frame({ squares: [{ x: 10, y: 10, side: 40, level: 220 }] });
  // The upper left of the raw frame is the upper right of one that is turned clockwise.
  assert.ok(moving[0]!.core.x > 0.75 && moving[0]!.core.y < 0.05, JSON.stringify(moving));
});

test('motion is also detected in RGB frames', () => {
  const scene = new Scene({}, 6, { ...FORMAT, pixels: 'rgb24' });
  assert.deepEqual(scene.quiet(20), []);
  const square = { x: 100, y: 100, side: 30, level: 250 };
  const { moving } = scene.frame({ squares: [square] });
  assert.ok(covers(moving[0]!.box, square));
});

test('several moving objects give several regions, the largest first, no more than allowed', () => {
  const scene = new Scene({ max_regions: 2 });
  scene.quiet(10);
  const squares = [
    { x: 10, y: 10, side: 16, level: 230 },
    { x: 240, y: 160, side: 60, level: 230 },
    { x: 10, y: 180, side: 30, level: 230 },
  ];
  const { moving } = scene.frame({ squares });
  assert.equal(moving.length, 2);
  assert.ok(covers(moving[0]!.core, squares[1]!));
  assert.ok(covers(moving[1]!.core, squares[2]!));
});

test('an object smaller than the smallest moving area is ignored', () => {
  const scene = new Scene({ min_area: 0.01 });
  scene.quiet(10);
  assert.deepEqual(scene.frame({ squares: [{ x: 50, y: 50, side: 20, level: 240 }] }).moving, []);
  assert.equal(scene.frame({ squares: [{ x: 50, y: 50, side: 40, level: 240 }] }).moving.length, 1);
});

test('a faint object is detected at high sensitivity and not at low', () => {
  const faint = { squares: [{ x: 100, y: 64, side: 64, level: 0 }] };
  const found = [2, 9].map((sensitivity) => {
    const scene = new Scene({ sensitivity }, 2);
    scene.quiet(20);
    const pattern = (x: number, y: number) => (((x >> 3) ^ (y >> 3)) & 1 ? 9 : -9);
    const paint = (x: number, y: number) => (x >= 100 && x < 160 && y >= 64 && y < 130 ? pattern(x, y) : 0);
    return scene.frame({ ...faint, squares: [], paint }).moving.length;
  });
  assert.deepEqual(found, [0, 1]);
});

test('noise alone moves nothing, weak or strong', () => {
  for (const noise of [0, 3, 12, 30]) {
    assert.deepEqual(new Scene({}, noise).quiet(60), [], `noise of ${noise} levels`);
  }
});

test('a lamp is not motion, and a second later motion is seen again', () => {
  const scene = new Scene();
  scene.quiet(20);
  const lit = { gain: 1.4, offset: 40 };
  const first = scene.frame(lit);
  assert.equal(first.lightSwitch, true);
  assert.deepEqual(first.moving, []);
  const after = Array.from({ length: 20 }, () => scene.frame(lit));
  assert.ok(
    after.slice(0, 3).every(({ lightSwitch }) => lightSwitch),
    'the camera may still be adapting',
  );
  assert.deepEqual(after.slice(5).filter(isSomething), []);
  const square = { x: 100, y: 100, side: 40, level: 10 };
  assert.ok(covers(scene.frame({ ...lit, squares: [square] }).moving[0]!.box, square));
});

test('a lamp that lights the frame unevenly is not motion either', () => {
  const scene = new Scene();
  scene.quiet(20);
  const paint = (x: number, y: number) => 90 - (x + y) / 8;
  const seen = Array.from({ length: 20 }, () => scene.frame({ paint }));
  assert.equal(seen[0]!.lightSwitch, true);
  assert.deepEqual(
    seen.filter(({ moving }) => moving.length > 0),
    [],
  );
});

test('dusk, however slow, is not motion, and a moving object is detected in it', () => {
  const scene = new Scene();
  const found = [];
  for (let step = 0; step < 100; step++) {
    if (isSomething(scene.frame({ gain: 1 - step / 140 }))) found.push(step);
  }
  assert.deepEqual(found, []);
  const square = { x: 100, y: 100, side: 40, level: 160 };
  assert.equal(scene.frame({ gain: 0.29, squares: [square] }).moving.length, 1);
});

test('a cloud that dims everything by a tenth is not motion', () => {
  const scene = new Scene();
  scene.quiet(20);
  for (const gain of [0.97, 0.93, 0.9, 0.9, 0.9]) assert.deepEqual(scene.frame({ gain }).moving, []);
});

test('flickering light is not motion, and something moving is seen in it', () => {
  const scene = new Scene();
  const found = [];
  for (let step = 0; step < 50; step++) {
    const light = { gain: 1 + 0.1 * Math.sin(step * 1.9), offset: 4 * Math.sin(step * 2.7) };
    if (isSomething(scene.frame(light))) found.push(step);
  }
  assert.deepEqual(found, []);
  const square = { x: 60, y: 60, side: 50, level: 230 };
  assert.ok(covers(scene.frame({ gain: 1.08, squares: [square] }).moving[0]!.box, square));
});

test('what keeps moving in one place becomes noise; what stops becomes background', () => {
  const scene = new Scene();
  scene.quiet(20);
  const tree = (step: number) => ({ x: 200, y: 40, side: 40, level: 100 + 30 * (step % 2) });
  const parked = { x: 40, y: 150, side: 50, level: 200 };
  const early = scene.frame({ squares: [tree(0), parked] });
  assert.equal(early.moving.length, 2);
  for (let second = 0; second < 200; second++) {
    scene.frame({ squares: [tree(second), parked], frameMs: 1000 });
  }
  assert.deepEqual(scene.frame({ squares: [tree(0), parked] }).moving, []);
});

test('a camera that changes its resolution restarts the learning', () => {
  const memory = new PixelMemory();
  const detector = new MotionDetector(MOTION_DEFAULTS, orientationOf({ rotate: 0, mirror: 'none' }));
  const show = (format: FrameFormat, level: number, now: number) => {
    memory.bytes(frameBytes(format)).fill(level, 0, frameBytes(format));
    return detector.detect(memory, format, now);
  };
  for (let frame = 0; frame < 10; frame++) show(FORMAT, 50, frame * FRAME_MS);
  const larger = { ...FORMAT, width: 640, height: 360 };
  for (let frame = 10; frame < 20; frame++) {
    assert.equal(isSomething(show(larger, 200, frame * FRAME_MS)), false);
  }
});
