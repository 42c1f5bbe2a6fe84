import type { Random } from '../runtime/random.ts';
import { type Canvas, lit, type Yuv, yuv } from './canvas.ts';
import { shadow } from './person.ts';
import type { Viewpoint } from './viewpoint.ts';

const COATS = [yuv(34, 32, 34), yuv(206, 128, 52), yuv(120, 118, 116), yuv(232, 228, 220), yuv(128, 98, 66)];

/** What one cat looks like. Lengths in metres. */
export interface Cat {
  length: number;
  coat: Yuv;
  /** Stripes on the back, or null. */
  stripes: Yuv | null;
  /** Breast and paws, often white. */
  paws: Yuv;
}

export function someCat(random: Random): Cat {
  const coat = lit(random.pick(COATS), random.range(0.85, 1.15));
  return {
    length: random.range(0.46, 0.58),
    coat,
    stripes: random.chance(0.5) ? lit(coat, 0.68) : null,
    paws: random.chance(0.4) ? yuv(232, 230, 224) : coat,
  };
}

export interface Prowl {
  x: number;
  z: number;
  /** −1: to the left, 1: to the right. */
  direction: 1 | -1;
  /** Radians of the walking cycle. */
  step: number;
}

/** Draws a cat from the side, feet at (x, z). */
export function drawCat(canvas: Canvas, view: Viewpoint, cat: Cat, prowl: Prowl): void {
  const { direction: d, step } = prowl;
  const l = cat.length * view.scale(prowl.z);
  const cx = view.x(prowl.x, prowl.z);
  const ground = view.y(0, prowl.z);
  const back = ground - 0.46 * l;
  const dark = lit(cat.coat, 0.8);

  const leg = (x: number, phase: number, colour: Yuv) => {
    const swing = 0.55 * Math.sin(phase);
    const lift = Math.max(0, Math.cos(phase)) * 0.08 * l;
    const kneeX = cx + d * x * l + Math.sin(swing) * 0.14 * l * d;
    const footX = kneeX + Math.sin(swing * 0.6) * 0.15 * l * d;
    canvas.limb(cx + d * x * l, back + 0.08 * l, kneeX, back + 0.26 * l, 0.12 * l, 0.08 * l, colour);
    canvas.limb(kneeX, back + 0.26 * l, footX, ground - lift - 0.02 * l, 0.075 * l, 0.06 * l, colour);
    canvas.limb(
      footX,
      ground - lift - 0.02 * l,
      footX + d * 0.05 * l,
      ground - lift - 0.02 * l,
      0.06 * l,
      0.05 * l,
      cat.paws,
    );
  };

  shadow(canvas, cx, ground, 0.5 * l, 0.05 * l);
  leg(-0.3, step + 2.2, dark);
  leg(0.32, step + 5.3, dark);

  const sway = Math.sin(step * 0.35) * 0.12 * l;
  const tail: [number, number][] = [
    [-0.42, 0.02],
    [-0.62, -0.1],
    [-0.7, -0.32],
    [-0.62, -0.52],
  ];
  for (let i = 1; i < tail.length; i++) {
    const [x0, y0] = tail[i - 1]!;
    const [x1, y1] = tail[i]!;
    const bend = sway * (i / 3) ** 2;
    const before = sway * ((i - 1) / 3) ** 2;
    canvas.limb(
      cx + d * (x0 * l + before),
      back + y0 * l,
      cx + d * (x1 * l + bend),
      back + y1 * l,
      0.075 * l,
      0.065 * l,
      dark,
    );
  }

  canvas.ellipse(cx - d * 0.24 * l, back + 0.05 * l, 0.22 * l, 0.165 * l, cat.coat);
  canvas.ellipse(cx, back + 0.05 * l, 0.36 * l, 0.135 * l, cat.coat);
  canvas.ellipse(cx + d * 0.26 * l, back + 0.03 * l, 0.17 * l, 0.145 * l, cat.coat);
  if (cat.stripes) {
    for (const x of [-0.34, -0.2, -0.06, 0.08, 0.22]) {
      canvas.limb(
        cx + d * x * l,
        back - 0.07 * l,
        cx + d * (x - 0.03) * l,
        back + 0.08 * l,
        0.045 * l,
        0.02 * l,
        cat.stripes,
      );
    }
  }
  leg(-0.26, step, cat.coat);
  leg(0.28, step + 3.1, cat.coat);

  const nod = 0.015 * l * Math.sin(step * 2);
  const headX = cx + d * 0.5 * l;
  const headY = back - 0.13 * l + nod;
  canvas.limb(cx + d * 0.34 * l, back, headX, headY, 0.2 * l, 0.16 * l, cat.coat);
  canvas.ellipse(headX, headY, 0.135 * l, 0.12 * l, cat.coat);
  canvas.ellipse(headX + d * 0.1 * l, headY + 0.035 * l, 0.06 * l, 0.05 * l, cat.paws);
  for (const ear of [-0.07, 0.06]) {
    const x = headX + d * ear * l;
    canvas.polygon(
      [x - 0.055 * l, headY - 0.07 * l, x + 0.055 * l, headY - 0.07 * l, x + d * 0.01 * l, headY - 0.23 * l],
      dark,
    );
  }
  canvas.ellipse(headX + d * 0.06 * l, headY - 0.02 * l, 0.02 * l, 0.022 * l, yuv(196, 204, 90));
}
