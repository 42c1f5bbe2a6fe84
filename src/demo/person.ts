import type { Random } from '../runtime/random.ts';
import { type Canvas, ellipsePoints, lit, type Yuv, yuv } from './canvas.ts';
import type { Viewpoint } from './viewpoint.ts';

const SKIN = [yuv(241, 204, 177), yuv(224, 172, 125), yuv(150, 103, 68), yuv(92, 60, 40)];
const HAIR = [yuv(30, 24, 20), yuv(92, 62, 36), yuv(178, 140, 80), yuv(170, 168, 165)];
const TOPS = [
  yuv(196, 44, 44),
  yuv(36, 74, 150),
  yuv(238, 200, 60),
  yuv(226, 226, 222),
  yuv(48, 110, 70),
  yuv(40, 42, 48),
  yuv(214, 110, 40),
  yuv(120, 70, 130),
];
const TROUSERS = [yuv(38, 50, 84), yuv(48, 48, 50), yuv(150, 130, 96), yuv(92, 96, 104), yuv(86, 54, 40)];

/** What one person looks like. Lengths in metres. */
export interface Person {
  height: number;
  build: number;
  skin: Yuv;
  hair: Yuv;
  top: Yuv;
  trousers: Yuv;
  coat: boolean;
  hat: boolean;
  bag: Yuv | null;
}

export function somebody(random: Random): Person {
  return {
    height: random.range(1.55, 1.92),
    build: random.range(0.88, 1.2),
    skin: random.pick(SKIN),
    hair: random.pick(HAIR),
    top: lit(random.pick(TOPS), random.range(0.8, 1.1)),
    trousers: lit(random.pick(TROUSERS), random.range(0.8, 1.2)),
    coat: random.chance(0.3),
    hat: random.chance(0.25),
    bag: random.chance(0.3) ? random.pick(TOPS) : null,
  };
}

/** Where somebody stands, which way they walk (1: straight across the picture, 0: towards or away) and their step. */
export interface Stance {
  x: number;
  z: number;
  /** Share of the way that goes across the picture, −1 (to the left) … 1 (to the right). */
  across: number;
  /** Radians of the walking cycle. */
  step: number;
  /** Walking towards the camera. */
  facing: boolean;
}

/** Draws a walking person, feet at (x, z). */
export function drawPerson(canvas: Canvas, view: Viewpoint, person: Person, stance: Stance): void {
  const { x, z, across, step, facing } = stance;
  const metre = view.scale(z);
  const h = person.height * metre;
  const cx = view.x(x, z);
  const ground = view.y(0, z);
  const side = Math.abs(across);
  const forward = Math.sign(across) || 1;
  const wide = h * person.build;
  const bob = 0.012 * h * Math.abs(Math.cos(step));
  const hipY = ground - 0.5 * h + bob;
  const shoulderY = ground - 0.82 * h + bob;
  const hipGap = 0.05 * wide * (1 - side * 0.7);
  const shoulderGap = 0.1 * wide * (1 - side * 0.45);
  const legWidth = 0.085 * wide;
  const armWidth = 0.06 * wide;

  const leg = (phase: number, offset: number, colour: Yuv) => {
    const swing = 0.5 * Math.sin(phase) * side * forward;
    const lift = Math.max(0, Math.cos(phase)) * (0.25 + 0.35 * (1 - side));
    const kneeX = cx + offset + Math.sin(swing) * 0.25 * h;
    const kneeY = hipY + Math.cos(swing) * 0.25 * h - lift * 0.06 * h;
    const shin = swing - forward * lift * 0.9 * side;
    const footX = kneeX + Math.sin(shin) * 0.24 * h;
    const footY = Math.min(ground, kneeY + Math.cos(shin) * 0.25 * h - lift * 0.12 * h * (1 - side));
    canvas.limb(cx + offset, hipY, kneeX, kneeY, legWidth * 1.15, legWidth * 0.9, colour);
    canvas.limb(kneeX, kneeY, footX, footY - legWidth * 0.3, legWidth * 0.9, legWidth * 0.65, colour);
    const toe = forward * side * 0.05 * h;
    canvas.limb(
      footX,
      footY - 0.012 * h,
      footX + toe,
      footY - 0.012 * h,
      0.035 * h,
      0.03 * h,
      yuv(35, 30, 28),
    );
  };
  const arm = (phase: number, offset: number, colour: Yuv) => {
    const swing = 0.45 * Math.sin(phase) * (0.25 + 0.75 * side) * forward;
    const spread = (Math.sign(offset) || 1) * (1 - side) * 0.12;
    const elbowX = cx + offset + Math.sin(swing + spread) * 0.17 * h;
    const elbowY = shoulderY + 0.03 * h + Math.cos(swing) * 0.17 * h;
    const handX = elbowX + Math.sin(swing + forward * side * 0.35) * 0.15 * h;
    const handY = elbowY + Math.cos(swing + side * 0.35) * 0.15 * h;
    canvas.limb(cx + offset, shoulderY + 0.03 * h, elbowX, elbowY, armWidth, armWidth * 0.9, colour);
    canvas.limb(elbowX, elbowY, handX, handY, armWidth * 0.85, armWidth * 0.7, colour);
    canvas.ellipse(handX, handY, armWidth * 0.45, armWidth * 0.45, person.skin);
  };

  shadow(canvas, cx, ground, 0.2 * h, 0.035 * h);
  arm(step + Math.PI, -shoulderGap, lit(person.top, 0.8));
  leg(step + Math.PI, -hipGap, lit(person.trousers, 0.85));
  leg(step, hipGap, person.trousers);
  if (person.bag)
    canvas.ellipse(cx - forward * side * 0.09 * h, shoulderY + 0.13 * h, 0.09 * wide, 0.13 * h, person.bag);

  const hem = person.coat ? hipY + 0.17 * h : hipY + 0.03 * h;
  const hemHalf = shoulderGap * (person.coat ? 0.95 : 0.75) + 0.02 * wide;
  const top = shoulderGap + 0.025 * wide;
  canvas.polygon(
    [
      cx - top * 0.7,
      shoulderY - 0.01 * h,
      cx + top * 0.7,
      shoulderY - 0.01 * h,
      cx + top,
      shoulderY + 0.04 * h,
      cx + hemHalf,
      hem,
      cx - hemHalf,
      hem,
      cx - top,
      shoulderY + 0.04 * h,
    ],
    person.top,
  );
  arm(step, shoulderGap, lit(person.top, 0.92));

  const headX = cx + forward * side * 0.012 * h;
  const headY = ground - 0.925 * h + bob;
  canvas.limb(cx, shoulderY, headX, headY, 0.055 * h, 0.05 * h, lit(person.skin, 0.85));
  canvas.ellipse(headX, headY, 0.052 * h, 0.07 * h, facing || side > 0.5 ? person.skin : person.hair);
  const hairX = headX - forward * side * 0.016 * h;
  canvas.ellipse(hairX, headY - 0.03 * h, 0.054 * h, 0.045 * h, person.hair);
  if (person.hat) {
    const brim = headY - 0.035 * h;
    canvas.ellipse(headX, brim - 0.02 * h, 0.056 * h, 0.038 * h, person.top);
    canvas.ellipse(headX + forward * side * 0.03 * h, brim, 0.07 * h, 0.012 * h, lit(person.top, 0.8));
  }
}

/** The dark patch that ties somebody to the ground. */
export function shadow(canvas: Canvas, cx: number, cy: number, rx: number, ry: number): void {
  canvas.shade(ellipsePoints(cx, cy, rx, ry), (luma) => luma * 0.72);
}
