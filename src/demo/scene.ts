/**
 * A driveway as a camera over the front door sees it, for a day that never ends: somebody walks by, a car comes
 * in, a cat crosses. Each of them is there at least once a minute, with nobody in between.
 *
 * The empty place is painted once. For each frame it is copied, the actors are drawn from far to near, the tree
 * sways, and sensor noise and daylight are laid over all. The same seed and time give the same picture.
 */

import { Random } from '../runtime/random.ts';
import type { Box } from '../types.ts';
import { type Actor, type ActorLabel, LONGEST, makeActor } from './actors.ts';
import { type Bounds, Canvas } from './canvas.ts';
import { LIGHT_RANGE, SensorNoise } from './noise.ts';
import { makePlace, type Place, paintPlace } from './place.ts';
import { Tree } from './tree.ts';
import { Viewpoint } from './viewpoint.ts';

/** Who is in a picture, and where. */
export interface Seen {
  /** The same for one actor from entering to leaving, and for no other. */
  actor: number;
  label: ActorLabel;
  /** In fractions of the picture, cut off at its edges. */
  box: Box;
  /** Share of the actor's box that is inside the picture, 0 < visible ≤ 1. */
  visible: number;
}

interface Entrance {
  id: number;
  /** Milliseconds since the scene began. */
  at: number;
  actor: Actor;
}

const MINUTE = 60_000;
const FIRST = 3000;
const SLOT = 19_000;
/** Actors that come within a minute where the scene is busy, besides a car in each slot. */
const BUSY: readonly ActorLabel[] = ['person', 'person', 'person', 'person', 'cat', 'cat'];

export class Scene {
  /** Bytes of one picture, i420. */
  readonly bytes: number;
  readonly #seed: number;
  readonly #view: Viewpoint;
  readonly #place: Place;
  readonly #canvas: Canvas;
  readonly #empty: Uint8Array;
  readonly #tree: Tree;
  readonly #noise: SensorNoise;
  readonly #busy: boolean;
  #minute = -1;
  #entrances: Entrance[] = [];

  /**
   * @param width @param height pixels, even
   * @param seed which driveway and which day
   * @param noise standard deviation of the sensor noise in luma steps, at most 3
   * @param busy several actors at a time, who cross and hide each other
   */
  constructor(width: number, height: number, seed: number, noise = 2, busy = false) {
    this.bytes = (width * height * 3) / 2;
    this.#seed = seed;
    this.#busy = busy;
    this.#view = new Viewpoint(width, height);
    this.#place = makePlace(seed);
    this.#canvas = new Canvas(width, height);
    this.#empty = new Uint8Array(this.bytes);
    this.#canvas.attach(this.#empty);
    paintPlace(this.#canvas, this.#view, this.#place, seed);
    this.#tree = new Tree(this.#view, this.#place, seed);
    this.#noise = new SensorNoise(seed, noise);
  }

  /**
   * Renders the picture at `time` milliseconds after the beginning.
   * @param picture i420, `bytes` long, BT.601 limited range
   * @returns who is in it, far to near
   */
  render(time: number, picture: Uint8Array): Seen[] {
    const canvas = this.#canvas;
    const sway = this.#sway(time);
    picture.set(this.#empty);
    canvas.attach(picture);

    const present = this.#present(time);
    const seen: Seen[] = [];
    const drawWhile = (wanted: (z: number) => boolean) => {
      for (const { id, actor, since, z } of present.filter((entry) => wanted(entry.z))) {
        canvas.takeBounds();
        actor.draw(canvas, since);
        const sight = this.#seen(id, actor.label, canvas.takeBounds());
        if (sight && z > 0) seen.push(sight);
      }
    };
    drawWhile((z) => z >= this.#tree.z);
    this.#tree.draw(picture, sway);
    drawWhile((z) => z < this.#tree.z);

    const frame = new Random(this.#seed, 6, time);
    this.#noise.apply(picture, this.#view.width, this.#view.height, daylight(time, this.#seed), frame);
    return seen;
  }

  /** Actors that are on their way at `time`, far to near. */
  #present(time: number): { id: number; actor: Actor; since: number; z: number }[] {
    const minute = Math.floor(time / MINUTE);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#entrances = this.#schedule(minute);
    }
    return this.#entrances
      .filter(({ at, actor }) => time >= at && time < at + actor.duration)
      .map(({ id, at, actor }) => ({ id, actor, since: time - at, z: actor.distance(time - at) }))
      .sort((a, b) => b.z - a.z);
  }

  /** Everybody who comes within one minute; all have left before the next begins. */
  #schedule(minute: number): Entrance[] {
    const random = new Random(this.#seed, 7, minute);
    const id = (index: number) => 100 * minute + index;
    if (this.#busy) {
      // One car after the other, for they would drive through each other on the drive.
      const cars = [0, 1, 2].map((slot) => [slot * SLOT, SLOT, 'car'] as const);
      const others = BUSY.map((label) => [0, MINUTE - FIRST, label] as const);
      return [...cars, ...others].map(([from, length, label], index) => ({
        id: id(index),
        at: minute * MINUTE + FIRST + from + random.range(0, length - LONGEST),
        actor: makeActor(label, this.#place, this.#view, random),
      }));
    }
    const entrances = random.shuffled<ActorLabel>(['person', 'car', 'cat']).map((label, slot) => ({
      id: id(slot),
      at: minute * MINUTE + FIRST + slot * SLOT + random.range(0, SLOT - LONGEST - 2500),
      actor: makeActor(label, this.#place, this.#view, random),
    }));
    if (random.chance(0.25)) {
      const { at } = random.pick(entrances);
      entrances.push({
        id: id(entrances.length),
        at,
        actor: makeActor(random.pick(['person', 'cat'] as const), this.#place, this.#view, random),
      });
    }
    return entrances;
  }

  /** How far the tree's top leans in pixels: a breeze, and a gust now and then. */
  #sway(time: number): number {
    const gust = Math.max(0, Math.sin(time / 9100 + this.#seed) - 0.75) * 6;
    return (this.#view.height / 480) * (0.5 + gust) * Math.sin(time / 410);
  }

  #seen(actor: number, label: ActorLabel, bounds: Bounds): Seen | null {
    const { width, height } = this.#view;
    const left = Math.max(0, bounds.left);
    const top = Math.max(0, bounds.top);
    const w = Math.min(width, bounds.right) - left;
    const h = Math.min(height, bounds.bottom) - top;
    if (!(w > 0 && h > 0)) return null;
    const visible = (w * h) / ((bounds.right - bounds.left) * (bounds.bottom - bounds.top));
    return { actor, label, visible, box: { x: left / width, y: top / height, w: w / width, h: h / height } };
  }
}

/** Clouds: slow changes of the light in luma steps, over one and over several minutes. */
function daylight(time: number, seed: number): number {
  const clouds = Math.sin(time / 23_000 + seed) + 0.7 * Math.sin(time / 71_000 + 2 * seed);
  return (clouds / 1.7) * LIGHT_RANGE;
}
