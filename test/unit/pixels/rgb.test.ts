import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toRgb } from '../../../src/pixels/rgb.ts';
import { noisyFrame, patternFrame, referenceResize } from '../vision/frames.ts';

test('an RGB frame comes back unchanged, in its own buffer', () => {
  const format = { width: 33, height: 21, pixels: 'rgb24', colour: 'jpeg' } as const;
  const data = noisyFrame(format, 1);
  const result = toRgb(data, format, { rotate: 0, mirror: 'none' });
  assert.deepEqual(result, { data, width: 33, height: 21 });
  assert.notEqual(result.data.buffer, data.buffer);
});

test('a YUV frame is turned upright at its full size', () => {
  const format = { width: 34, height: 22, pixels: 'i420', colour: 'bt709' } as const;
  const data = patternFrame(format, (x, y) => [x * 7, y * 11, 255 - x * y]);
  const transform = { rotate: 270, mirror: 'horizontal' } as const;
  const result = toRgb(data, format, transform);
  assert.deepEqual([result.width, result.height], [22, 34]);
  const reference = referenceResize(format, data, 22, 34, { x: 0, y: 0, w: 1, h: 1 }, transform);
  const worst = Math.max(...reference.map((value, index) => Math.abs(value - result.data[index]!)));
  assert.ok(worst <= 2, `differs by ${worst}`);
});
