/** One thing over time: where it is, where it will be, what it is called. */
import type { Box } from '../types.ts';
import { ConstantVelocity } from './constant-velocity.ts';

/** A thing that a detector found in a frame. */
export interface FoundObject {
  label: string;
  /** 0…1 */
  score: number;
  box: Box;
}

/** A point of a track's path: the middle of the lower edge of its box, where a thing stands on the ground. */
export interface FootPoint {
  x: number;
  y: number;
  /** Monotonic milliseconds. */
  at: number;
}

/** Standard deviations, as shares of the size of the box: of a detector's box, … */
const MEASURED = 0.06;
/** … of the speed of a thing that appears, per second, and of the changes of its speed in a second. */
const APPEARING_SPEED = 1.5;
const ACCELERATION = 0.6;
/** The same of the height. */
const GROWING = 0.4;
const GROWTH = 0.5;
/** Weight of a new width, and of a new ratio of width to height: legs swing, cars turn. */
const WIDTH_GAIN = 0.7;
const RATIO_GAIN = 0.25;
/** Share of the velocity that is left after a second without a sight of it. */
const COASTING = 0.6;
/** A thing stands still while its foot point stays within this share of its size … */
const STILL_WITHIN = 0.2;
/** … for so long. */
const STILL_MS = 10_000;

export type TrackState = 'tentative' | 'confirmed' | 'lost';

export class ObjectTrack {
  readonly id: number;
  state: TrackState = 'tentative';
  /** Score of the last sight. */
  score: number;
  /** The best sight. */
  best: FoundObject;
  /** Frames in which it was found, and those since the last of them in which it was looked for in vain. */
  hits = 1;
  misses = 0;
  readonly firstSeenAt: number;
  lastSeenAt: number;
  readonly #votes = new Map<string, number>();
  readonly #x: ConstantVelocity;
  readonly #y: ConstantVelocity;
  readonly #height: ConstantVelocity;
  #width: number;
  #ratio: number;
  readonly #box: Box;
  #at: number;
  #stillFrom: FootPoint;

  /** @param at monotonic milliseconds */
  constructor(id: number, found: FoundObject, at: number) {
    const { x, y, w, h } = found.box;
    const size = sizeOf(w, h);
    this.id = id;
    this.score = found.score;
    this.best = found;
    this.firstSeenAt = at;
    this.lastSeenAt = at;
    this.#at = at;
    this.#x = new ConstantVelocity(x + w / 2, MEASURED * size, APPEARING_SPEED * size);
    this.#y = new ConstantVelocity(y + h, MEASURED * size, APPEARING_SPEED * size);
    this.#height = new ConstantVelocity(h, MEASURED * h, GROWING * h);
    this.#width = w;
    this.#ratio = w / h;
    this.#box = { ...found.box };
    this.#stillFrom = this.foot;
    this.#vote(found);
  }

  /** What it was called most, weighted by score. */
  get label(): string {
    let best = '';
    let most = -1;
    for (const [label, votes] of this.#votes) {
      if (votes > most) {
        most = votes;
        best = label;
      }
    }
    return best;
  }

  /** Where it is, or is expected to be. The object is reused; copy it to keep it. */
  get box(): Readonly<Box> {
    return this.#box;
  }

  get foot(): FootPoint {
    return { x: this.#x.position, y: this.#y.position, at: this.#at };
  }

  /** Change of the foot point per second. */
  get velocity(): { x: number; y: number } {
    return { x: this.#x.velocity, y: this.#y.velocity };
  }

  /** The longer side of its box: legs that swing change the other one. */
  get size(): number {
    return sizeOf(this.#box.w, this.#box.h);
  }

  /** Standard deviation of the expected foot point. */
  get uncertainty(): number {
    return Math.max(this.#x.deviation, this.#y.deviation);
  }

  /** It has not moved for 10 s. */
  get stationary(): boolean {
    return this.lastSeenAt - this.#stillFrom.at >= STILL_MS;
  }

  /** Expects it where it will be at a time. */
  predict(at: number): void {
    const seconds = (at - this.#at) / 1000;
    if (seconds <= 0) return;
    const { size } = this;
    if (this.misses > 0) {
      const kept = COASTING ** seconds;
      this.#x.velocity *= kept;
      this.#y.velocity *= kept;
      this.#height.velocity = 0;
    }
    this.#x.predict(seconds, (ACCELERATION * size) ** 2);
    this.#y.predict(seconds, (ACCELERATION * size) ** 2);
    this.#height.predict(seconds, (GROWTH * this.#box.h) ** 2);
    this.#width = this.#ratio * this.#height.position;
    this.#at = at;
    this.#place();
  }

  /** Takes a sight of it in; `predict` comes before. */
  correct(found: FoundObject): void {
    const { x, y, w, h } = found.box;
    const deviation = MEASURED * sizeOf(w, h);
    this.#x.correct(x + w / 2, deviation);
    this.#y.correct(y + h, deviation);
    this.#height.correct(h, MEASURED * h);
    this.#ratio += RATIO_GAIN * (w / h - this.#ratio);
    this.#width += WIDTH_GAIN * (w - this.#width);
    this.#place();
    this.#vote(found);
    this.score = found.score;
    if (found.score > this.best.score) this.best = found;
    this.hits++;
    this.misses = 0;
    this.lastSeenAt = this.#at;
    const foot = this.foot;
    const moved = Math.hypot(foot.x - this.#stillFrom.x, foot.y - this.#stillFrom.y);
    if (moved > STILL_WITHIN * this.size) this.#stillFrom = foot;
  }

  #vote({ label, score }: FoundObject): void {
    this.#votes.set(label, (this.#votes.get(label) ?? 0) + score);
  }

  #place(): void {
    const w = Math.max(this.#width, 1e-4);
    const h = Math.max(this.#height.position, 1e-4);
    this.#box.x = this.#x.position - w / 2;
    this.#box.y = this.#y.position - h;
    this.#box.w = w;
    this.#box.h = h;
  }
}

/** The longer side of a box. */
export function sizeOf(width: number, height: number): number {
  return Math.max(width, height, 1e-4);
}
