import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { PixelMemory } from '../../../src/pixels/kernels.ts';
import { orientationOf, type Transform } from '../../../src/pixels/orientation.ts';
import { frameBytes } from '../../../src/pixels/plane.ts';
import { outputBytes, Resizer } from '../../../src/pixels/resize.ts';
import type { Box, FrameFormat, ModelInput } from '../../../src/types.ts';
import { noisyFrame, patternFrame, referenceResize } from '../vision/frames.ts';

const WHOLE = { x: 0, y: 0, w: 1, h: 1 };
const UPRIGHT: Transform = { rotate: 0, mirror: 'none' };
const TRANSFORMS = ([0, 90, 180, 270] as const).flatMap((rotate) =>
  (['none', 'horizontal', 'vertical'] as const).map((mirror) => ({ rotate, mirror })),
);

function output(width: number, height: number, change: Partial<ModelInput> = {}): ModelInput {
  return {
    width,
    height,
    layout: 'nhwc',
    type: 'uint8',
    channels: 3,
    order: 'rgb',
    mean: [0, 0, 0],
    scale: [1, 1, 1],
    ...change,
  };
}

function i420(width: number, height: number, colour: FrameFormat['colour'] = 'bt601'): FrameFormat {
  return { width, height, pixels: 'i420', colour };
}

function rgb24(width: number, height: number): FrameFormat {
  return { width, height, pixels: 'rgb24', colour: 'jpeg' };
}

function resize(
  format: FrameFormat,
  data: Uint8Array,
  out: ModelInput,
  box: Box = WHOLE,
  transform: Transform = UPRIGHT,
): Uint8Array<ArrayBuffer> {
  const memory = new PixelMemory();
  memory.bytes(frameBytes(format)).set(data);
  const target = new Uint8Array(outputBytes(out));
  new Resizer(memory, out).resize(format, box, orientationOf(transform), target);
  return target;
}

/** Largest difference between our result and the reference, in levels. */
function worst(format: FrameFormat, data: Uint8Array, size: number[], box = WHOLE, transform = UPRIGHT) {
  const [width, height] = size as [number, number];
  const ours = resize(format, data, output(width, height), box, transform);
  const reference = referenceResize(format, data, width, height, box, transform);
  return Math.max(...reference.map((value, index) => Math.abs(value - ours[index]!)));
}

test('a shrunk frame equals the floating-point reference within 2 levels, however it is turned and flipped', () => {
  for (const format of [i420(90, 62), rgb24(91, 61)]) {
    const data = noisyFrame(format, 1);
    for (const transform of TRANSFORMS) {
      const difference = worst(format, data, [40, 28], WHOLE, transform);
      assert.ok(difference <= 2, `${format.pixels} ${JSON.stringify(transform)}: ${difference}`);
    }
  }
});

test('crops with odd borders equal the reference, shrunk, enlarged and squashed', () => {
  const boxes = [
    { x: 0.137, y: 0.251, w: 0.419, h: 0.613 },
    { x: 0, y: 0.71, w: 0.05, h: 0.29 },
    { x: 0.9, y: 0, w: 0.1, h: 1 },
  ];
  for (const format of [i420(128, 96, 'bt709'), rgb24(101, 75)]) {
    const data = noisyFrame(format, 2);
    for (const box of boxes) {
      for (const size of [
        [13, 9],
        [64, 64],
        [37, 5],
      ]) {
        for (const transform of [UPRIGHT, { rotate: 90, mirror: 'horizontal' } as const]) {
          const difference = worst(format, data, size, box, transform);
          assert.ok(difference <= 2, `${format.pixels} ${JSON.stringify(box)} to ${size}: ${difference}`);
        }
      }
    }
  }
});

test('a frame 17 times as large as the output is averaged, not sampled', () => {
  const format = i420(680, 340);
  assert.ok(worst(format, noisyFrame(format, 3), [40, 20]) <= 2);
});

test('all three YUV ranges give pure colours back', () => {
  for (const colour of ['bt601', 'bt709', 'jpeg'] as const) {
    for (const rgb of [
      [255, 255, 255],
      [0, 0, 0],
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 255],
      [120, 90, 60],
    ] as const) {
      const format = i420(16, 16, colour);
      const result = resize(
        format,
        patternFrame(format, () => rgb),
        output(8, 8),
      );
      for (let i = 0; i < 3; i++)
        assert.ok(Math.abs(result[i]! - rgb[i]!) <= 2, `${colour} ${rgb}: ${result}`);
    }
  }
});

test('layout, channel order, element type, mean and scale follow the model', () => {
  const format = rgb24(20, 12);
  const data = noisyFrame(format, 4);
  const plain = resize(format, data, output(10, 6));
  const bgr = resize(format, data, output(10, 6, { order: 'bgr', layout: 'nchw' }));
  const signed = resize(format, data, output(10, 6, { type: 'int8', mean: [128, 128, 128] }));
  const change = { mean: [100, 110, 120], scale: [0.5, 0.25, 2] } as const;
  const real = resize(
    format,
    data,
    output(10, 6, { type: 'float32', ...(structuredClone(change) as object) }),
  );
  const reals = new Float32Array(real.buffer);
  for (let pixel = 0; pixel < 60; pixel++) {
    for (let c = 0; c < 3; c++) {
      const value = plain[pixel * 3 + c]!;
      assert.equal(bgr[(2 - c) * 60 + pixel], value);
      assert.equal(new Int8Array(signed.buffer)[pixel * 3 + c], value - 128);
      assert.equal(reals[pixel * 3 + c], (value - change.mean[c]!) * change.scale[c]!);
    }
  }
});

/** Grey of the same frame: its luma by BT.601 weights, or its own luma plane. */
function greyReference(
  format: FrameFormat,
  data: Uint8Array,
  size: [number, number],
  box: Box,
  transform: Transform,
): number[] {
  const flat = data.slice();
  if (format.pixels === 'i420') flat.fill(128, format.width * format.height);
  const colours = referenceResize(format, flat, size[0], size[1], box, transform);
  return Array.from({ length: size[0] * size[1] }, (_, pixel) => {
    const [red, green, blue] = colours.slice(pixel * 3, pixel * 3 + 3) as [number, number, number];
    return 0.299 * red + 0.587 * green + 0.114 * blue;
  });
}

const GREY = { channels: 1, mean: [0], scale: [1] } as const;

function greyOutput(width: number, height: number, change: Partial<ModelInput> = {}): ModelInput {
  return output(width, height, { ...(structuredClone(GREY) as object), ...change });
}

test('a grey model gets the luma, cropped, resized, turned and flipped like colours', () => {
  const box = { x: 0.137, y: 0.251, w: 0.419, h: 0.613 };
  const formats = [i420(128, 96), i420(128, 96, 'bt709'), i420(128, 96, 'jpeg'), rgb24(101, 75)];
  for (const format of formats) {
    const data = noisyFrame(format, 5);
    for (const transform of TRANSFORMS) {
      const ours = resize(format, data, greyOutput(37, 20), box, transform);
      const reference = greyReference(format, data, [37, 20], box, transform);
      const difference = Math.max(...reference.map((value, index) => Math.abs(value - ours[index]!)));
      assert.ok(
        difference <= 1.2,
        `${format.pixels} ${format.colour} ${JSON.stringify(transform)}: ${difference}`,
      );
    }
  }
});

test('luma fills 0 to 255 whatever range the camera uses', () => {
  for (const colour of ['bt601', 'bt709', 'jpeg'] as const) {
    const format = i420(512, 16, colour);
    const ramp = patternFrame(format, (x) => [x >> 1, x >> 1, x >> 1]);
    const levels = resize(format, ramp, greyOutput(256, 8)).subarray(0, 256);
    for (const [level, found] of levels.entries())
      assert.ok(Math.abs(found - level) <= 1, `${colour} ${level}: ${found}`);
    const black = new Uint8Array(frameBytes(format));
    assert.equal(resize(format, black, greyOutput(8, 8))[9], 0);
    assert.equal(resize(format, black.fill(255), greyOutput(8, 8))[9], 255);
  }
});

test('the same frame is equally grey as YUV and as RGB', () => {
  const paint = (x: number, y: number) => [x * 3, 255 - y * 2, (x + y) * 2] as const;
  const rgb = resize(rgb24(64, 64), patternFrame(rgb24(64, 64), paint), greyOutput(16, 16));
  for (const colour of ['bt601', 'jpeg'] as const) {
    const yuv = resize(i420(64, 64, colour), patternFrame(i420(64, 64, colour), paint), greyOutput(16, 16));
    for (const [index, level] of rgb.entries()) assert.ok(Math.abs(level - yuv[index]!) <= 1);
  }
});

test('at its own size an RGB frame is grey to the bit as Pillow makes it', () => {
  const format = rgb24(64, 64);
  const data = noisyFrame(format, 6);
  const grey = resize(format, data, greyOutput(64, 64));
  for (const [pixel, level] of grey.entries()) {
    const [red, green, blue] = data.subarray(pixel * 3, pixel * 3 + 3) as unknown as [number, number, number];
    assert.equal(level, (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16);
  }
});

test('element type, mean and scale of a grey model count, its layout and order do not', () => {
  const format = rgb24(20, 12);
  const data = noisyFrame(format, 4);
  const plain = resize(format, data, greyOutput(10, 6));
  assert.deepEqual(resize(format, data, greyOutput(10, 6, { layout: 'nchw', order: 'bgr' })), plain);
  const signed = resize(format, data, greyOutput(10, 6, { type: 'int8', mean: [128] }));
  const real = resize(format, data, greyOutput(10, 6, { type: 'float32', mean: [127.5], scale: [0.5] }));
  for (const [pixel, level] of plain.entries()) {
    assert.equal(new Int8Array(signed.buffer)[pixel], level - 128);
    assert.equal(new Float32Array(real.buffer)[pixel], (level - 127.5) * 0.5);
  }
});

test('the same resizer serves many boxes, formats and orientations in turn', () => {
  const memory = new PixelMemory();
  const out = output(24, 24);
  const resizer = new Resizer(memory, out);
  const target = new Uint8Array(outputBytes(out));
  for (let round = 0; round < 120; round++) {
    const format = round % 2 ? i420(64, 48) : rgb24(200, 40);
    const box = { x: (round % 50) / 100, y: 0.1, w: 0.4, h: 0.5 };
    const transform = TRANSFORMS[round % TRANSFORMS.length]!;
    const data = noisyFrame(format, round % 3);
    memory.bytes(data.length).set(data);
    resizer.resize(format, box, orientationOf(transform), target);
    assert.deepEqual(target, resize(format, data, out, box, transform));
  }
});

test('the result is nearly that of libvips, which turns and flips the same way', async () => {
  const format = rgb24(160, 120);
  const data = patternFrame(format, (x, y) => [
    128 + 100 * Math.sin(x / 9),
    128 + 100 * Math.sin(y / 7 + 1),
    128 + 100 * Math.sin((x + y) / 11),
  ]);
  const raw = { raw: { width: 160, height: 120, channels: 3 } } as const;
  for (const transform of TRANSFORMS) {
    for (const [width, height] of [
      [56, 48],
      [110, 100],
    ] as const) {
      const { data: turned, info } = await sharp(data, raw)
        .rotate(transform.rotate)
        .raw()
        .toBuffer({ resolveWithObject: true });
      const theirs = await sharp(turned, { raw: { width: info.width, height: info.height, channels: 3 } })
        .flop(transform.mirror === 'horizontal')
        .flip(transform.mirror === 'vertical')
        .resize(width, height, { fit: 'fill', kernel: 'linear' })
        .raw()
        .toBuffer();
      const ours = resize(format, data, output(width, height), WHOLE, transform);
      const mean =
        theirs.reduce((sum, value, index) => sum + Math.abs(value - ours[index]!), 0) / ours.length;
      assert.ok(mean < 2, `${JSON.stringify(transform)} to ${width}: mean difference ${mean}`);
    }
  }
});
