import assert from 'node:assert/strict';
import { test } from 'node:test';
import { orientationOf, toRaw, toUpright, uprightSize } from '../../../src/pixels/orientation.ts';

const close = (actual: object, expected: Record<string, number>) => {
  for (const [key, value] of Object.entries(expected)) {
    assert.ok(Math.abs((actual as Record<string, number>)[key]! - value) < 1e-9, JSON.stringify(actual));
  }
};

test('the upper left corner goes where a clockwise turn and then a flip take it', () => {
  const corner = { x: 0, y: 0, w: 0.1, h: 0.2 };
  const at = (rotate: 0 | 90 | 180 | 270, mirror: 'none' | 'horizontal' | 'vertical') =>
    toUpright(corner, orientationOf({ rotate, mirror }));
  close(at(0, 'none'), { x: 0, y: 0, w: 0.1, h: 0.2 });
  close(at(90, 'none'), { x: 0.8, y: 0, w: 0.2, h: 0.1 });
  close(at(180, 'none'), { x: 0.9, y: 0.8, w: 0.1, h: 0.2 });
  close(at(270, 'none'), { x: 0, y: 0.9, w: 0.2, h: 0.1 });
  close(at(0, 'horizontal'), { x: 0.9, y: 0 });
  close(at(90, 'horizontal'), { x: 0, y: 0 });
  close(at(90, 'vertical'), { x: 0.8, y: 0.9 });
});

test('every transform is undone by its inverse', () => {
  const box = { x: 0.1, y: 0.25, w: 0.3, h: 0.05 };
  for (const rotate of [0, 90, 180, 270] as const) {
    for (const mirror of ['none', 'horizontal', 'vertical'] as const) {
      const orientation = orientationOf({ rotate, mirror });
      close(toRaw(toUpright(box, orientation), orientation), box);
    }
  }
});

test('a frame on its side has its width and height exchanged', () => {
  const size = { width: 640, height: 480 };
  assert.deepEqual(uprightSize(size, orientationOf({ rotate: 90, mirror: 'none' })), {
    width: 480,
    height: 640,
  });
  assert.deepEqual(uprightSize(size, orientationOf({ rotate: 180, mirror: 'horizontal' })), size);
});
