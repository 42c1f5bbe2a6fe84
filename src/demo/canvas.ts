/** Fills shapes straight into an i420 picture. Coordinates are pixels, y downwards; shapes may leave the picture. */

/** A colour as BT.601 limited-range Y, U, V. */
export interface Yuv {
  y: number;
  u: number;
  v: number;
}

/** Luma stays inside this range, so that noise and light can be added without overflow. */
export const LUMA = { min: 16, max: 235 } as const;

/** From R, G, B of 0…255. */
export function yuv(r: number, g: number, b: number): Yuv {
  const y = 16 + 0.2568 * r + 0.5041 * g + 0.0979 * b;
  return {
    y: clamp(y, LUMA.min, LUMA.max),
    u: clamp(128 - 0.1482 * r - 0.291 * g + 0.4392 * b, 16, 240),
    v: clamp(128 + 0.4392 * r - 0.3678 * g - 0.0714 * b, 16, 240),
  };
}

/** The same colour in more (> 1) or less light. */
export function lit(colour: Yuv, factor: number): Yuv {
  return {
    y: clamp(16 + (colour.y - 16) * factor, LUMA.min, LUMA.max),
    u: colour.u,
    v: colour.v,
  };
}

function clamp(value: number, low: number, high: number): number {
  return Math.round(Math.max(low, Math.min(high, value)));
}

export interface Bounds {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export class Canvas {
  readonly width: number;
  readonly height: number;
  #y: Uint8Array = new Uint8Array();
  #u: Uint8Array = new Uint8Array();
  #v: Uint8Array = new Uint8Array();
  readonly #from: Float64Array;
  readonly #to: Float64Array;
  #bounds: Bounds = emptyBounds();

  /** @param width @param height pixels, even */
  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.#from = new Float64Array(height);
    this.#to = new Float64Array(height);
  }

  /** Draws into `picture` (i420, width × height × 3/2 bytes) from now on. */
  attach(picture: Uint8Array): void {
    const luma = this.width * this.height;
    this.#y = picture.subarray(0, luma);
    this.#u = picture.subarray(luma, luma + luma / 4);
    this.#v = picture.subarray(luma + luma / 4, luma + luma / 2);
  }

  /** Where everything was drawn (not shaded) since the last call, also beyond the picture's edges. */
  takeBounds(): Bounds {
    const bounds = this.#bounds;
    this.#bounds = emptyBounds();
    return bounds;
  }

  /** Fills a convex polygon. @param points x0, y0, x1, y1, … */
  polygon(points: readonly number[], colour: Yuv): void {
    this.#extend(points);
    this.#scan(points, (y, from, to) => {
      const row = y * this.width;
      this.#y.fill(colour.y, row + from, row + to);
      if (y & 1) return;
      const chroma = (row >> 2) + (from >> 1);
      const end = (row >> 2) + ((to + 1) >> 1);
      this.#u.fill(colour.u, chroma, end);
      this.#v.fill(colour.v, chroma, end);
    });
  }

  /** Fills an ellipse, turned by `angle` (radians). */
  ellipse(cx: number, cy: number, rx: number, ry: number, colour: Yuv, angle = 0): void {
    this.polygon(ellipsePoints(cx, cy, rx, ry, angle), colour);
  }

  /** Fills a line with round ends that is `w0` wide at its start and `w1` at its end. */
  limb(x0: number, y0: number, x1: number, y1: number, w0: number, w1: number, colour: Yuv): void {
    const length = Math.hypot(x1 - x0, y1 - y0) || 1;
    const nx = (y0 - y1) / length / 2;
    const ny = (x1 - x0) / length / 2;
    this.polygon(
      [
        x0 + nx * w0,
        y0 + ny * w0,
        x1 + nx * w1,
        y1 + ny * w1,
        x1 - nx * w1,
        y1 - ny * w1,
        x0 - nx * w0,
        y0 - ny * w0,
      ],
      colour,
    );
    this.ellipse(x0, y0, w0 / 2, w0 / 2, colour);
    this.ellipse(x1, y1, w1 / 2, w1 / 2, colour);
  }

  /** Changes the luma inside a convex polygon: `shade` is given the old value and returns the new one. */
  shade(points: readonly number[], shade: (luma: number) => number): void {
    this.#scan(points, (y, from, to) => {
      for (let i = y * this.width + from; i < y * this.width + to; i++) {
        this.#y[i] = clamp(shade(this.#y[i]!), LUMA.min, LUMA.max);
      }
    });
  }

  /** Calls back for every row of a convex polygon with the pixels `from` ≤ x < `to` whose centres are inside. */
  #scan(points: readonly number[], row: (y: number, from: number, to: number) => void): void {
    let top = Infinity;
    let bottom = -Infinity;
    for (let i = 1; i < points.length; i += 2) {
      top = Math.min(top, points[i]!);
      bottom = Math.max(bottom, points[i]!);
    }
    const first = Math.max(0, Math.ceil(top - 0.5));
    const last = Math.min(this.height - 1, Math.ceil(bottom - 0.5) - 1);
    if (first > last) return;
    this.#from.fill(Infinity, first, last + 1);
    this.#to.fill(-Infinity, first, last + 1);
    for (let i = 0; i < points.length; i += 2) {
      const j = (i + 2) % points.length;
      this.#edge(points[i]!, points[i + 1]!, points[j]!, points[j + 1]!, first, last);
    }
    for (let y = first; y <= last; y++) {
      const from = Math.max(0, Math.ceil(this.#from[y]! - 0.5));
      const to = Math.min(this.width, Math.ceil(this.#to[y]! - 0.5));
      if (from < to) row(y, from, to);
    }
  }

  #extend(points: readonly number[]): void {
    const bounds = this.#bounds;
    for (let i = 0; i < points.length; i += 2) {
      bounds.left = Math.min(bounds.left, points[i]!);
      bounds.right = Math.max(bounds.right, points[i]!);
      bounds.top = Math.min(bounds.top, points[i + 1]!);
      bounds.bottom = Math.max(bounds.bottom, points[i + 1]!);
    }
  }

  #edge(x0: number, y0: number, x1: number, y1: number, first: number, last: number): void {
    const up = Math.min(y0, y1);
    const down = Math.max(y0, y1);
    const slope = (x1 - x0) / (y1 - y0);
    const end = Math.min(last, Math.ceil(down - 0.5) - 1);
    for (let y = Math.max(first, Math.ceil(up - 0.5)); y <= end; y++) {
      const x = x0 + (y + 0.5 - y0) * slope;
      if (x < this.#from[y]!) this.#from[y] = x;
      if (x > this.#to[y]!) this.#to[y] = x;
    }
  }
}

function emptyBounds(): Bounds {
  return { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
}

/** An ellipse as a polygon with enough corners for its size. */
export function ellipsePoints(cx: number, cy: number, rx: number, ry: number, angle = 0): number[] {
  const corners = Math.min(48, 8 + Math.ceil(Math.max(rx, ry)));
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  return Array.from({ length: corners }, (_, i) => (2 * Math.PI * i) / corners).flatMap((turn) => {
    const x = rx * Math.cos(turn);
    const y = ry * Math.sin(turn);
    return [cx + x * cos - y * sin, cy + x * sin + y * cos];
  });
}
