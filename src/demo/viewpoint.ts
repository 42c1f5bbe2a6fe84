/**
 * The pinhole camera over the front door: world metres to pixels. x is to the right, up is height above the
 * ground, z is the distance along the ground.
 */
export class Viewpoint {
  readonly width: number;
  readonly height: number;
  /** The eye's height above the ground in metres. */
  readonly eye: number;
  readonly #horizon: number;
  readonly #focal: number;

  /** @param tilt where the horizon is, as a share of the picture's height */
  constructor(width: number, height: number, eye = 2.4, tilt = 0.3) {
    this.width = width;
    this.height = height;
    this.eye = eye;
    this.#horizon = tilt * height;
    this.#focal = height;
  }

  /** Pixels per metre at distance z. */
  scale(z: number): number {
    return this.#focal / Math.max(z, 0.5);
  }

  x(x: number, z: number): number {
    return this.width / 2 + x * this.scale(z);
  }

  y(up: number, z: number): number {
    return this.#horizon + (this.eye - up) * this.scale(z);
  }

  /** World points as a flat list of pixels. */
  project(...points: (readonly [x: number, up: number, z: number])[]): number[] {
    return points.flatMap(([x, up, z]) => [this.x(x, z), this.y(up, z)]);
  }

  /** The distance at which the ground leaves the picture at the bottom. */
  get nearest(): number {
    return (this.eye * this.#focal) / (this.height - this.#horizon);
  }

  /** Half of the visible width at distance z, in metres. */
  halfWidth(z: number): number {
    return this.width / 2 / this.scale(z);
  }
}
