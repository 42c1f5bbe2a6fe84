import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Canvas, yuv } from '../../../src/demo/canvas.ts';

function blank(width: number, height: number) {
  const canvas = new Canvas(width, height);
  const picture = new Uint8Array((width * height * 3) / 2);
  canvas.attach(picture);
  return { canvas, picture };
}

test('colours follow BT.601, limited range', () => {
  assert.deepEqual(yuv(0, 0, 0), { y: 16, u: 128, v: 128 });
  assert.deepEqual(yuv(255, 255, 255), { y: 235, u: 128, v: 128 });
  assert.deepEqual(yuv(255, 0, 0), { y: 81, u: 90, v: 240 });
});

test('a rectangle fills the pixels whose centres it covers, and their colour', () => {
  const { canvas, picture } = blank(8, 8);
  canvas.polygon([2, 2, 6, 2, 6, 5.4, 2, 5.4], { y: 100, u: 50, v: 60 });
  const rows = Array.from({ length: 8 }, (_, y) => [...picture.subarray(y * 8, y * 8 + 8)]);
  const filled = [0, 0, 100, 100, 100, 100, 0, 0];
  const empty = new Array(8).fill(0);
  assert.deepEqual(rows, [empty, empty, filled, filled, filled, empty, empty, empty]);
  assert.deepEqual([...picture.subarray(64, 80)], [0, 0, 0, 0, 0, 50, 50, 0, 0, 50, 50, 0, 0, 0, 0, 0]);
});

test('shapes that leave the picture are cut off, and their bounds are not', () => {
  const { canvas, picture } = blank(16, 16);
  canvas.ellipse(0, 8, 6, 6, yuv(255, 255, 255));
  canvas.limb(8, -20, 8, 40, 2, 2, yuv(255, 255, 255));
  canvas.polygon([100, 100, 110, 100, 105, 110], yuv(0, 0, 0));
  assert.ok(picture[8 * 16] === 235 && picture[8 * 16 + 15] === 0);
  const bounds = canvas.takeBounds();
  assert.deepEqual([bounds.left, bounds.right, bounds.bottom], [-6, 110, 110]);
  assert.equal(canvas.takeBounds().left, Infinity);
});
