import { Random } from '../runtime/random.ts';
import { Canvas, LUMA, lit } from './canvas.ts';
import type { Place } from './place.ts';
import type { Viewpoint } from './viewpoint.ts';

/**
 * A tree that sways: painted once onto a cut-out, of which each row is copied a little to the left or right.
 * What is above the trunk moves the more the higher it is.
 */
export class Tree {
  /** Distance from the camera: whoever is farther away passes behind it. */
  readonly z: number;
  readonly #width: number;
  readonly #height: number;
  readonly #pixels: Uint8Array;
  /** Rows of opaque pixels: y, from, to (to not included), flattened. */
  readonly #runs: Int32Array;
  readonly #foot: number;
  readonly #top: number;

  constructor(view: Viewpoint, place: Place, seed: number) {
    const { x, z, height, crown, leaf, bark } = place.tree;
    const random = new Random(seed, 3);
    this.z = z;
    this.#width = view.width;
    this.#height = view.height;
    const luma = view.width * view.height;
    this.#pixels = new Uint8Array((luma * 3) / 2);
    const canvas = new Canvas(view.width, view.height);
    canvas.attach(this.#pixels);

    const metre = view.scale(z);
    const cx = view.x(x, z);
    this.#foot = view.y(0, z);
    this.#top = view.y(height + crown, z);
    canvas.limb(cx, this.#foot, cx, view.y(height - 0.5, z), 0.34 * metre, 0.2 * metre, bark);
    for (let i = 0; i < 90; i++) {
      const turn = random.range(0, 2 * Math.PI);
      const away = Math.sqrt(random.next()) * crown;
      const up = Math.sin(turn) * away * 0.85;
      const bright = 0.75 + 0.3 * (up / crown + 0.5) + random.range(-0.12, 0.12);
      const r = random.range(0.22, 0.42) * metre;
      canvas.ellipse(
        cx + Math.cos(turn) * away * metre,
        view.y(height + up, z),
        r,
        r * 0.85,
        lit(leaf, bright),
      );
    }
    this.#runs = opaqueRuns(this.#pixels, view.width, view.height);
    for (let i = 0; i < luma; i++) {
      const bright = this.#pixels[i]!;
      if (bright !== 0) this.#pixels[i] = Math.min(220, Math.max(LUMA.min, bright + random.gaussian() * 9));
    }
  }

  /**
   * Copies the tree into an i420 picture.
   * @param sway how far its top leans, in pixels
   */
  draw(picture: Uint8Array, sway: number): void {
    const width = this.#width;
    const luma = width * this.#height;
    const quarter = luma / 4;
    for (let i = 0; i < this.#runs.length; i += 3) {
      const y = this.#runs[i]!;
      const share = Math.max(0, (this.#foot - y) / (this.#foot - this.#top) - 0.25);
      const shift = Math.round(sway * share * 1.33 + 0.4 * sway * Math.sin(y * 0.12));
      const from = Math.max(this.#runs[i + 1]!, -shift, 0);
      const to = Math.min(this.#runs[i + 2]!, width - shift);
      if (from >= to) continue;
      const row = y * width;
      picture.set(this.#pixels.subarray(row + from, row + to), row + from + shift);
      if (y & 1) continue;
      const chroma = luma + (row >> 2);
      const at = from >> 1;
      const end = Math.min((to + 1) >> 1, (width - shift) >> 1);
      for (const plane of [chroma, chroma + quarter]) {
        picture.set(this.#pixels.subarray(plane + at, plane + end), plane + at + Math.max(-at, shift >> 1));
      }
    }
  }
}

function opaqueRuns(pixels: Uint8Array, width: number, height: number): Int32Array {
  const runs: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[y * width + x] === 0) continue;
      const from = x;
      while (x < width && pixels[y * width + x] !== 0) x++;
      runs.push(y, from, x);
    }
  }
  return Int32Array.from(runs);
}
