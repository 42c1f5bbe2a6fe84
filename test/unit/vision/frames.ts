/** Frames made of numbers, and a plain floating-point resize to compare the fast one with. */

import type { Transform } from '../../../src/pixels/orientation.ts';
import { frameBytes } from '../../../src/pixels/plane.ts';
import type { Box, FrameFormat } from '../../../src/types.ts';
import { Seeded } from '../../support/random.ts';

/** Every byte at random: the hardest frame for a filter. */
export function noisyFrame(format: FrameFormat, seed: number): Uint8Array<ArrayBuffer> {
  const random = new Seeded(seed);
  return new Uint8Array(frameBytes(format)).map(() => random.int(0, 255));
}

function weights(colour: FrameFormat['colour']) {
  return colour === 'bt709' ? { r: 0.2126, b: 0.0722 } : { r: 0.299, b: 0.114 };
}

/** A frame painted with a function of the pixel, in either format. */
export function patternFrame(
  format: FrameFormat,
  paint: (x: number, y: number) => readonly [number, number, number],
): Uint8Array<ArrayBuffer> {
  const { width, height, colour } = format;
  const data = new Uint8ClampedArray(frameBytes(format));
  const { r: kr, b: kb } = weights(colour);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [r, g, b] = paint(x, y);
      if (format.pixels === 'rgb24') {
        data.set([r, g, b], (y * width + x) * 3);
        continue;
      }
      const luma = kr * r + (1 - kr - kb) * g + kb * b;
      const u = (b - luma) / (2 * (1 - kb));
      const v = (r - luma) / (2 * (1 - kr));
      const full = colour === 'jpeg';
      data[y * width + x] = full ? luma : 16 + (luma * 219) / 255;
      const chroma = width * height + (y >> 1) * (width / 2) + (x >> 1);
      data[chroma] = 128 + (full ? u : (u * 224) / 255);
      data[chroma + (width * height) / 4] = 128 + (full ? v : (v * 224) / 255);
    }
  }
  return new Uint8Array(data.buffer);
}

/** The triangle-filtered value of one channel around a point, each sample weighted one by one. */
function filtered(
  sample: (x: number, y: number) => number,
  size: { width: number; height: number },
  centre: { x: number; y: number },
  scale: { x: number; y: number },
): number {
  const reach = { x: Math.max(1, scale.x), y: Math.max(1, scale.y) };
  let sum = 0;
  let total = 0;
  for (let y = 0; y < size.height; y++) {
    const weightY = 1 - Math.abs(y + 0.5 - centre.y) / reach.y;
    if (weightY <= 0) continue;
    for (let x = 0; x < size.width; x++) {
      const weightX = 1 - Math.abs(x + 0.5 - centre.x) / reach.x;
      if (weightX <= 0) continue;
      sum += weightX * weightY * sample(x, y);
      total += weightX * weightY;
    }
  }
  return sum / total;
}

/** Crop of the upright frame, resized to packed RGB, without optimisation. Values are not rounded. */
export function referenceResize(
  format: FrameFormat,
  data: Uint8Array,
  outWidth: number,
  outHeight: number,
  box: Box,
  { rotate, mirror }: Transform,
): number[] {
  const { width, height, colour } = format;
  const swap = rotate % 180 !== 0;
  const result = [];
  for (let oy = 0; oy < outHeight; oy++) {
    for (let ox = 0; ox < outWidth; ox++) {
      let u = box.x + (box.w * (ox + 0.5)) / outWidth;
      let v = box.y + (box.h * (oy + 0.5)) / outHeight;
      if (mirror === 'horizontal') u = 1 - u;
      if (mirror === 'vertical') v = 1 - v;
      const at = { 0: [u, v], 90: [v, 1 - u], 180: [1 - u, 1 - v], 270: [1 - v, u] }[rotate] as [
        number,
        number,
      ];
      const step = swap ? [box.h / outHeight, box.w / outWidth] : [box.w / outWidth, box.h / outHeight];
      const plane = (w: number, h: number, sample: (x: number, y: number) => number) =>
        filtered(
          sample,
          { width: w, height: h },
          { x: at[0] * w, y: at[1] * h },
          { x: step[0]! * w, y: step[1]! * h },
        );
      if (format.pixels === 'rgb24') {
        for (let c = 0; c < 3; c++)
          result.push(plane(width, height, (x, y) => data[(y * width + x) * 3 + c]!));
        continue;
      }
      const area = width * height;
      const [half, quarter] = [width / 2, area / 4];
      let luma = plane(width, height, (x, y) => data[y * width + x]!);
      let cb = plane(half, height / 2, (x, y) => data[area + y * half + x]!) - 128;
      let cr = plane(half, height / 2, (x, y) => data[area + quarter + y * half + x]!) - 128;
      if (colour !== 'jpeg') {
        luma = ((luma - 16) * 255) / 219;
        cb = (cb * 255) / 224;
        cr = (cr * 255) / 224;
      }
      const { r: kr, b: kb } = weights(colour);
      const red = luma + 2 * (1 - kr) * cr;
      const blue = luma + 2 * (1 - kb) * cb;
      const green = (luma - kr * red - kb * blue) / (1 - kr - kb);
      for (const value of [red, green, blue]) result.push(Math.min(255, Math.max(0, value)));
    }
  }
  return result;
}
