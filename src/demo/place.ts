/** The driveway and everything that does not move by itself; how it looks differs from seed to seed. */

import { Random } from '../runtime/random.ts';
import { type Canvas, ellipsePoints, lit, type Yuv, yuv } from './canvas.ts';
import type { Viewpoint } from './viewpoint.ts';

/** Where things are, in metres: distances along the ground, and sideways from the middle of the picture. */
export interface Place {
  drive: { x: number; half: number };
  /** The near pavement, the street's two kerbs, and the fence behind it. */
  pavement: number;
  kerb: number;
  farKerb: number;
  fence: number;
  tree: { x: number; z: number; height: number; crown: number; leaf: Yuv; bark: Yuv };
}

const WALLS = [
  yuv(196, 180, 152),
  yuv(166, 92, 72),
  yuv(208, 206, 198),
  yuv(150, 164, 168),
  yuv(214, 192, 120),
];
const ROOFS = [yuv(112, 58, 46), yuv(74, 74, 80), yuv(96, 80, 66)];
const DOORS = [yuv(120, 40, 36), yuv(40, 70, 90), yuv(60, 84, 56), yuv(84, 58, 38)];

export function makePlace(seed: number): Place {
  const random = new Random(seed, 1);
  const pavement = random.range(12, 13);
  const treeSide = random.chance(0.5) ? 1 : -1;
  return {
    drive: { x: random.range(-0.8, 0.8), half: random.range(1.5, 1.8) },
    pavement,
    kerb: pavement + 1.5,
    farKerb: pavement + 8,
    fence: pavement + 10,
    tree: {
      x: treeSide * random.range(4.2, 5.2),
      z: random.range(8.5, 10.5),
      height: random.range(4.2, 5),
      crown: random.range(1.5, 1.9),
      leaf: yuv(random.range(52, 84), random.range(96, 124), random.range(40, 60)),
      bark: yuv(84, 64, 46),
    },
  };
}

/** Paints the empty scene. Meant to be done once: it takes some milliseconds. */
export function paintPlace(canvas: Canvas, view: Viewpoint, place: Place, seed: number): void {
  const random = new Random(seed, 2);
  const { width, height } = view;
  const grain = (points: number[], amount: number) =>
    canvas.shade(points, (luma) => luma + (random.next() + random.next() - 1) * amount);

  paintSky(canvas, view, random);
  const skyline = view.height * 0.24;
  canvas.polygon([0, skyline, width, skyline, width, height, 0, height], yuv(104, 128, 96));
  for (let x = 0; x < width; x += height * 0.04) {
    const r = random.range(0.03, 0.07) * height;
    canvas.ellipse(x, skyline, r, r * 0.7, yuv(random.range(90, 112), random.range(118, 132), 92));
  }
  const edge = view.halfWidth(place.fence + 6) + 2;
  for (let x = -edge - random.range(0, 5); x < edge; ) {
    const wide = random.range(7, 11);
    paintHouse(canvas, view, random, x, wide, place.fence + random.range(3, 6));
    x += wide + random.range(0.8, 4);
  }

  const strip = (near: number, far: number, colour: Yuv, amount: number) => {
    const points = [
      0,
      Math.min(height, view.y(0, near)),
      0,
      view.y(0, far),
      width,
      view.y(0, far),
      width,
      Math.min(height, view.y(0, near)),
    ];
    canvas.polygon(points, colour);
    grain(points, amount);
  };
  const green = random.range(0.85, 1.15);
  const grass = lit(yuv(random.range(84, 108), 128, 66), green);
  const asphalt = yuv(96, 97, 100);
  const paving = yuv(168, 162, 152);
  const { pavement, kerb, farKerb, fence } = place;

  const hedge = random.chance(0.5);
  const fenceColour = hedge ? lit(grass, 0.62) : yuv(150, 120, 86);
  const fenceTop = view.y(hedge ? 1.3 : 1.1, fence);
  const fencePoints = [0, fenceTop, width, fenceTop, width, view.y(0, fence), 0, view.y(0, fence)];
  canvas.polygon(fencePoints, fenceColour);
  grain(fencePoints, hedge ? 40 : 14);
  for (let x = -30; !hedge && x < 30; x += 0.9) {
    canvas.polygon(
      view.project([x, 0, fence], [x + 0.14, 0, fence], [x + 0.14, 1.2, fence], [x, 1.2, fence]),
      lit(fenceColour, 0.8),
    );
  }
  strip(farKerb + 1.4, fence, lit(grass, 0.9), 16);
  strip(farKerb, farKerb + 1.4, paving, 10);
  strip(kerb, farKerb, asphalt, 12);
  strip(kerb - 0.12, kerb + 0.08, lit(paving, 1.15), 6);
  strip(farKerb, farKerb + 0.15, lit(paving, 1.1), 6);
  const lane = (kerb + farKerb) / 2;
  for (let x = -30; x < 30; x += 4) {
    canvas.polygon(
      view.project(
        [x, 0, lane - 0.07],
        [x + 2, 0, lane - 0.07],
        [x + 2, 0, lane + 0.07],
        [x, 0, lane + 0.07],
      ),
      yuv(206, 206, 200),
    );
  }
  strip(pavement, kerb - 0.12, paving, 10);
  for (let near = view.nearest - 0.3, light = 0; near < pavement; near *= 1.13, light ^= 1) {
    strip(near, Math.min(pavement, near * 1.13), lit(grass, light ? 1.04 : 0.97), 24);
  }
  paintDrive(canvas, view, place, random, grain);
}

function paintSky(canvas: Canvas, view: Viewpoint, random: Random): void {
  const bottom = view.height * 0.32;
  const grey = random.range(0, 1);
  const steps = 40;
  for (let i = 0; i < steps; i++) {
    const t = i / steps;
    const colour = yuv(
      110 + 90 * t + 50 * grey * (1 - t),
      160 + 55 * t + 20 * grey * (1 - t),
      218 + 12 * t - 20 * grey,
    );
    const y = bottom * t;
    canvas.polygon(
      [0, y, view.width, y, view.width, y + bottom / steps + 1, 0, y + bottom / steps + 1],
      colour,
    );
  }
  for (let cloud = 0; cloud < 5; cloud++) {
    const cx = random.range(0, view.width);
    const cy = random.range(0, bottom * 0.7);
    for (let puff = 0; puff < 9; puff++) {
      const rx = random.range(0.04, 0.1) * view.height;
      const at = cx + random.gaussian() * 0.09 * view.height;
      canvas.shade(
        ellipsePoints(at, cy + random.gaussian() * 0.012 * view.height, rx, rx * 0.35),
        (luma) => luma + (226 - luma) * 0.28,
      );
    }
  }
}

function paintHouse(
  canvas: Canvas,
  view: Viewpoint,
  random: Random,
  x: number,
  wide: number,
  z: number,
): void {
  const wall = lit(random.pick(WALLS), random.range(0.85, 1.05));
  const roofColour = random.pick(ROOFS);
  const eaves = random.range(3.4, 5.4);
  const ridge = eaves + random.range(1.8, 2.8);
  const rect = (left: number, right: number, low: number, high: number, colour: Yuv) =>
    canvas.polygon(view.project([left, low, z], [right, low, z], [right, high, z], [left, high, z]), colour);
  rect(x, x + wide, 0, eaves, wall);
  rect(x, x + wide, eaves - 0.35, eaves, lit(wall, 0.72));
  if (random.chance(0.6))
    rect(x + wide * 0.7, x + wide * 0.78, ridge - 1.2, ridge + 0.7, lit(yuv(150, 84, 66), 0.9));
  const slope = wide * random.range(0.06, 0.3);
  canvas.polygon(
    view.project(
      [x - 0.4, eaves, z],
      [x + wide + 0.4, eaves, z],
      [x + wide - slope, ridge, z],
      [x + slope, ridge, z],
    ),
    roofColour,
  );
  const windows = Math.floor(wide / 2.4);
  const doorAt = Math.floor(random.range(0, windows));
  for (let floor = 0; floor * 2.6 + 2.4 < eaves; floor++) {
    for (let i = 0; i < windows; i++) {
      const left = x + ((i + 0.5) * wide) / windows - 0.6;
      const low = floor * 2.6 + 1;
      if (floor === 0 && i === doorAt) {
        rect(left + 0.1, left + 1.1, 0, 2.2, random.pick(DOORS));
        continue;
      }
      rect(left - 0.1, left + 1.3, low - 0.1, low + 1.4, yuv(228, 228, 222));
      rect(left, left + 0.56, low, low + 1.3, yuv(66, 80, 92));
      rect(left + 0.64, left + 1.2, low, low + 1.3, yuv(72, 86, 98));
    }
  }
}

function paintDrive(
  canvas: Canvas,
  view: Viewpoint,
  { drive, pavement, kerb }: Place,
  random: Random,
  grain: (points: number[], amount: number) => void,
): void {
  const near = view.nearest - 0.4;
  const left = drive.x - drive.half;
  const right = drive.x + drive.half;
  const colour = lit(
    random.pick([yuv(150, 146, 140), yuv(128, 128, 130), yuv(166, 150, 130)]),
    random.range(0.9, 1.1),
  );
  const area = view.project([left, 0, near], [right, 0, near], [right, 0, kerb], [left, 0, kerb]);
  canvas.polygon(area, colour);
  grain(area, 13);
  const joint = lit(colour, 0.8);
  for (let z = near; z < pavement; z += 1.6) {
    canvas.polygon(
      view.project([left, 0, z], [right, 0, z], [right, 0, z + 0.05], [left, 0, z + 0.05]),
      joint,
    );
  }
  for (const x of [left - 0.12, right]) {
    canvas.polygon(
      view.project([x, 0, near], [x + 0.12, 0, near], [x + 0.12, 0, pavement], [x, 0, pavement]),
      lit(colour, 1.2),
    );
  }
  const bed = drive.x > 0 ? left - 2.6 : right + 0.9;
  for (let i = 0; i < 26; i++) {
    const x = bed + random.range(0, 1.7);
    const z = random.range(6, 7.4);
    const r = random.range(0.1, 0.24) * view.scale(z);
    canvas.ellipse(view.x(x, z), view.y(0.12, z), r, r * 0.8, yuv(54, random.range(84, 112), 44));
    if (random.chance(0.4)) {
      canvas.ellipse(
        view.x(x, z),
        view.y(0.3, z),
        r * 0.3,
        r * 0.3,
        random.pick([yuv(226, 90, 120), yuv(240, 220, 90), yuv(230, 230, 236)]),
      );
    }
  }
}
