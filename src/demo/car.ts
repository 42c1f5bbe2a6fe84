import type { Random } from '../runtime/random.ts';
import { type Canvas, lit, type Yuv, yuv } from './canvas.ts';
import type { Viewpoint } from './viewpoint.ts';

const PAINTS = [
  yuv(180, 30, 34),
  yuv(34, 62, 128),
  yuv(214, 216, 218),
  yuv(60, 62, 66),
  yuv(150, 154, 160),
  yuv(24, 24, 28),
  yuv(52, 104, 78),
  yuv(222, 176, 60),
];
const GLASS = yuv(52, 66, 76);
const TYRE = yuv(26, 26, 28);

/** What one car looks like. Lengths in metres. */
export interface Car {
  length: number;
  width: number;
  height: number;
  /** Where the cabin starts and ends at its foot and at the roof, as shares of the length from the back. */
  cabin: { back: number; front: number; roofBack: number; roofFront: number };
  paint: Yuv;
}

const CABINS = {
  saloon: { back: 0.14, front: 0.74, roofBack: 0.27, roofFront: 0.56 },
  hatchback: { back: 0.02, front: 0.75, roofBack: 0.1, roofFront: 0.57 },
  estate: { back: 0.01, front: 0.72, roofBack: 0.04, roofFront: 0.56 },
};

export function someCar(random: Random): Car {
  const kind = random.pick(['saloon', 'hatchback', 'estate'] as const);
  return {
    length: kind === 'hatchback' ? random.range(3.7, 4.1) : random.range(4.3, 4.8),
    width: random.range(1.7, 1.9),
    height: kind === 'estate' ? random.range(1.5, 1.75) : random.range(1.4, 1.52),
    cabin: CABINS[kind],
    paint: lit(random.pick(PAINTS), random.range(0.85, 1.1)),
  };
}

/** The middle of the car on the ground and the way it points: 0 is to the right, π/2 away from the camera. */
export interface Pose {
  x: number;
  z: number;
  heading: number;
}

/** A point of the car: along its length from the middle, to its left, and up. */
type Point = readonly [along: number, left: number, up: number];

/**
 * Draws a car as two solids, body and cabin, with wheels, windows and lamps. Only faces that look towards the
 * eye are drawn, each in the light that its direction gets.
 */
export function drawCar(canvas: Canvas, view: Viewpoint, car: Car, pose: Pose): void {
  const cos = Math.cos(pose.heading);
  const sin = Math.sin(pose.heading);
  const project = (points: readonly Point[]) =>
    view.project(
      ...points.map(
        ([along, left, up]) =>
          [pose.x + along * cos - left * sin, up, pose.z + along * sin + left * cos] as const,
      ),
    );
  const eye: Point = [-pose.x * cos - pose.z * sin, pose.x * sin - pose.z * cos, view.eye];
  const middle: Point = [0, 0, car.height / 2];

  const face = (colour: Yuv, ...points: readonly Point[]) => {
    const normal = outward(points, middle);
    if (dot(normal, minus(eye, points[0]!)) <= 0) return;
    // Light comes from the upper left, behind the camera.
    const light = -0.16 * (normal[0] * cos - normal[1] * sin) - 0.14 * (normal[0] * sin + normal[1] * cos);
    canvas.polygon(project(points), lit(colour, 0.84 + light + 0.3 * normal[2]));
  };
  /** A rectangle across the car's end (`along` fixed) or along its side (`left` fixed). */
  const end = (colour: Yuv, along: number, from: number, to: number, low: number, high: number) =>
    face(colour, [along, from, low], [along, to, low], [along, to, high], [along, from, high]);
  const flank = (colour: Yuv, left: number, from: number, to: number, low: number, high: number) =>
    face(colour, [from, left, low], [to, left, low], [to, left, high], [from, left, high]);

  const half = car.length / 2;
  const side = car.width / 2;
  const floor = 0.22;
  const belt = car.height * 0.58;
  const foot = (share: number, left: number): Point => [share * car.length - half, left, belt];
  const roofSide = side * 0.82;
  const roof = (share: number, left: number): Point => [share * car.length - half, left, car.height];

  const ground = (along: number, left: number): Point => [along * (half + 0.1), left * (side + 0.15), 0];
  canvas.shade(project([ground(-1, -1), ground(1, -1), ground(1, 1), ground(-1, 1)]), (luma) => luma * 0.6);

  for (const [along, lamp] of [
    [-half, yuv(186, 24, 28)],
    [half, yuv(255, 252, 230)],
  ] as const) {
    end(car.paint, along, -side, side, floor, belt);
    for (const s of [-side, side]) end(TYRE, along, s * 0.7, s * 0.95, 0, floor);
    end(TYRE, along, -side, side, floor, floor + 0.16);
    end(yuv(226, 226, 214), along, -0.26, 0.26, 0.42, 0.53);
    for (const s of [-side, side]) end(lamp, along, s * 0.62, s * 0.95, belt - 0.25, belt - 0.09);
  }
  for (const left of [-side, side]) {
    flank(car.paint, left, -half, half, floor, belt);
    flank(lit(car.paint, 0.7), left, -half, half, floor, floor + 0.12);
    for (const along of [-0.31 * car.length, 0.31 * car.length]) {
      face(TYRE, ...wheel(along, left, 0.34));
      face(yuv(180, 182, 186), ...wheel(along, left, 0.19));
    }
  }
  face(car.paint, [-half, -side, belt], [half, -side, belt], [half, side, belt], [-half, side, belt]);

  const { back, front, roofBack, roofFront } = car.cabin;
  const panes: Point[][] = [
    [foot(back, -side), foot(back, side), roof(roofBack, roofSide), roof(roofBack, -roofSide)],
    [foot(front, -side), foot(front, side), roof(roofFront, roofSide), roof(roofFront, -roofSide)],
    ...[-1, 1].map((s) => [
      foot(back, s * side),
      foot(front, s * side),
      roof(roofFront, s * roofSide),
      roof(roofBack, s * roofSide),
    ]),
  ];
  for (const pane of panes) {
    face(car.paint, ...pane);
    face(GLASS, ...inset(pane));
  }
  face(
    car.paint,
    roof(roofBack, -roofSide),
    roof(roofFront, -roofSide),
    roof(roofFront, roofSide),
    roof(roofBack, roofSide),
  );
}

function wheel(along: number, left: number, radius: number): Point[] {
  return Array.from({ length: 14 }, (_, i) => {
    const turn = (2 * Math.PI * i) / 14;
    return [along + radius * Math.cos(turn), left, 0.34 + radius * Math.sin(turn)];
  });
}

/** The same polygon, a little smaller: a window inside its frame. */
function inset(corners: readonly Point[]): Point[] {
  const middle = [0, 1, 2].map(
    (axis) => corners.reduce((sum, corner) => sum + corner[axis]!, 0) / corners.length,
  );
  const shrink = (corner: Point, axis: 0 | 1 | 2) => middle[axis]! + (corner[axis] - middle[axis]!) * 0.84;
  return corners.map((corner) => [shrink(corner, 0), shrink(corner, 1), shrink(corner, 2)]);
}

/** The unit normal of a polygon that points away from `middle`. */
function outward(points: readonly Point[], middle: Point): Point {
  const a = minus(points[1]!, points[0]!);
  const b = minus(points[2]!, points[0]!);
  const n: Point = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const length = Math.hypot(...n) * Math.sign(dot(n, minus(points[0]!, middle)));
  return [n[0] / length, n[1] / length, n[2] / length];
}

const minus = (a: Point, b: Point): Point => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const dot = (a: Point, b: Point) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
