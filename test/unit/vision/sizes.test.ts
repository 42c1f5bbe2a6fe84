/** Frames of every shape, through all that touches their pixels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { annotate } from '../../../src/pixels/annotate.ts';
import { encodeJpeg } from '../../../src/pixels/jpeg.ts';
import { PixelMemory } from '../../../src/pixels/kernels.ts';
import { orientationOf } from '../../../src/pixels/orientation.ts';
import { frameBytes } from '../../../src/pixels/plane.ts';
import { outputBytes, Resizer } from '../../../src/pixels/resize.ts';
import { toRgb } from '../../../src/pixels/rgb.ts';
import type { FrameFormat, ModelInput } from '../../../src/types.ts';
import { MotionDetector } from '../../../src/vision/motion.ts';
import { Seeded } from '../../support/random.ts';
import { noisyFrame, referenceResize } from './frames.ts';
import { MOTION_DEFAULTS } from './scene.ts';

const WHOLE = { x: 0, y: 0, w: 1, h: 1 };
const TRANSFORMS = [
  { rotate: 0, mirror: 'none' },
  { rotate: 90, mirror: 'horizontal' },
  { rotate: 180, mirror: 'vertical' },
] as const;

function output(width: number, height: number): ModelInput {
  const plain = { layout: 'nhwc', type: 'uint8', order: 'rgb', mean: [0, 0, 0], scale: [1, 1, 1] } as const;
  return { width, height, channels: 3, ...plain, mean: [0, 0, 0], scale: [1, 1, 1] };
}

/** The smallest, the longest and others at random, as far as they are possible in both formats. */
function formats(): FrameFormat[] {
  const random = new Seeded(12);
  const sides = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 159, 160, 161];
  const sizes = [
    ...sides.flatMap((side) => [
      [side, 1],
      [1, side],
      [side, side + 1],
    ]),
    ...[...sides.slice(0, 6)].flatMap((side) => [
      [9000, side],
      [side, 9000],
    ]),
    ...Array.from({ length: 40 }, () => [random.int(1, 300), random.int(1, 300)]),
  ] as [number, number][];
  return sizes.flatMap(([width, height]): FrameFormat[] => [
    { width, height, pixels: 'rgb24', colour: 'jpeg' },
    ...(width % 2 === 0 && height % 2 === 0
      ? [{ width, height, pixels: 'i420', colour: 'bt601' } as const]
      : []),
  ]);
}

const nameOf = ({ width, height, pixels }: FrameFormat) => `${width}×${height} ${pixels}`;

test('frames of every shape are resized as the reference does it', () => {
  const memory = new PixelMemory();
  for (const format of formats()) {
    const data = noisyFrame(format, 1);
    for (const transform of TRANSFORMS) {
      for (const box of [WHOLE, { x: 0.31, y: 0.17, w: 0.21, h: 0.4 }]) {
        const out = output(6, 5);
        memory.bytes(frameBytes(format)).set(data);
        const target = new Uint8Array(outputBytes(out));
        new Resizer(memory, out).resize(format, box, orientationOf(transform), target);
        const reference = referenceResize(format, data, out.width, out.height, box, transform);
        const worst = Math.max(...reference.map((value, index) => Math.abs(value - target[index]!)));
        assert.ok(worst <= 4, `${nameOf(format)} ${JSON.stringify(transform)}: differs by ${worst}`);
      }
    }
  }
});

test('motion is looked for in frames of every shape, and what moves lies inside', () => {
  const memory = new PixelMemory();
  let found = 0;
  for (const format of formats()) {
    for (const transform of TRANSFORMS) {
      const detector = new MotionDetector({ ...MOTION_DEFAULTS, min_area: 0.001 }, orientationOf(transform));
      for (let frame = 0; frame < 14; frame++) {
        const bytes = memory.bytes(frameBytes(format)).subarray(0, frameBytes(format));
        bytes.fill(frame % 2 === 0 ? 100 : 102);
        // From the tenth frame on a part of it is bright.
        if (frame >= 10) bytes.subarray(Math.floor(bytes.length * 0.8)).fill(250);
        const { share, moving } = detector.detect(memory, format, 200 * frame);
        assert.ok(share >= 0 && share <= 1, nameOf(format));
        found += moving.length;
        for (const { core, box } of moving) {
          for (const { x, y, w, h } of [core, box]) {
            const inside = x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= 1 + 1e-9 && y + h <= 1 + 1e-9;
            assert.ok(inside, `${nameOf(format)}: ${JSON.stringify({ x, y, w, h })}`);
          }
        }
      }
    }
  }
  assert.ok(found > 100, `${found} moved`);
});

test('snapshots are made of frames of every shape, with what is drawn into them', async () => {
  const seen = { label: 'person', score: 0.9, box: { x: 0.2, y: 0.1, w: 0.5, h: 0.7 } };
  for (const format of formats()) {
    for (const transform of TRANSFORMS) {
      const frame = toRgb(noisyFrame(format, 2), format, transform);
      annotate(frame, seen, '2026-01-31 12:00:00');
      const jpeg = await encodeJpeg(frame.data, frame, 80);
      const { width, height } = await sharp(jpeg).metadata();
      const upright = transform.rotate === 90 ? [format.height, format.width] : [format.width, format.height];
      assert.deepEqual([width, height], upright, nameOf(format));
    }
  }
});
