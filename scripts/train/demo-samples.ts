/** Crops of the demo scene with their labels, as the daemon cuts them out around whatever moves. */
import { Scene, type Seen } from '../../src/demo/scene.ts';
import { PixelMemory } from '../../src/pixels/kernels.ts';
import { orientationOf, WHOLE } from '../../src/pixels/orientation.ts';
import { plainBytes, Resizer } from '../../src/pixels/resize.ts';
import { Random } from '../../src/runtime/random.ts';
import type { Box, ModelInput } from '../../src/types.ts';

/** `nothing`, or what the scene shows. */
type Label = Seen['label'] | 'nothing';

export interface Sample {
  label: Label;
  /** side × side × 3 bytes, RGB. */
  pixels: Uint8Array;
}

/** What the model is fed. */
function inputOf(side: number): ModelInput {
  return { ...plainBytes(3), width: side, height: side };
}

const UPRIGHT = orientationOf({ rotate: 0, mirror: 'none' });
const SIZES = [
  [640, 480],
  [640, 480],
  [640, 360],
  [1280, 720],
  [320, 240],
] as const;
/** How long one scene is watched, in ms. */
const WATCH = 180_000;

/**
 * Samples from one seed of the scene, so that different seeds have nothing in common.
 * @param side of the square crops in pixels
 */
export function* samplesOf(seed: number, side: number, count: number): Generator<Sample> {
  const random = new Random(seed, 77);
  const [width, height] = random.pick(SIZES);
  const scene = new Scene(width, height, seed, random.range(0.5, 3));
  const memory = new PixelMemory();
  const resizer = new Resizer(memory, inputOf(side));
  const format = { width, height, pixels: 'i420', colour: 'bt601' } as const;
  let past: Box = { x: 0.4, y: 0.4, w: 0.2, h: 0.2 };
  for (let made = 0; made < count; ) {
    const picture = memory.bytes(scene.bytes).subarray(0, scene.bytes);
    const seen = scene.render(random.range(0, WATCH), picture);
    const chosen = choose(seen, past, width / height, random);
    if (seen[0]) past = seen[0].box;
    if (!chosen) continue;
    const pixels = new Uint8Array(side * side * 3);
    resizer.resize(format, chosen.box, UPRIGHT, pixels);
    yield { label: chosen.label, pixels };
    made++;
  }
}

/** What to cut out of a picture, or null when its label would be in doubt. */
function choose(seen: Seen[], past: Box, aspect: number, random: Random): { box: Box; label: Label } | null {
  const turn = random.next();
  if (seen.length === 0 || turn < 0.12) {
    const whole = random.chance(0.2);
    if (whole && seen.length === 0) return { box: WHOLE, label: 'nothing' };
    const box = random.chance(0.5) ? loosely(past, aspect, random) : anywhere(random);
    return seen.some((other) => common(other.box, box) > 0) ? null : { box, label: 'nothing' };
  }
  const target = random.pick(seen);
  const others = seen.filter((other) => other !== target && other.label !== target.label);
  if (turn > 0.95) {
    const large = target.visible > 0.6 && target.box.h > 0.12;
    return large && others.length === 0 ? { box: WHOLE, label: target.label } : null;
  }
  const box = loosely(target.box, aspect, random);
  const covered = common(target.box, box) / (target.box.w * target.box.h);
  if (target.visible < 0.2 || covered < 0.5) return null;
  if (others.some((other) => common(other.box, box) > 0.2 * common(target.box, box))) return null;
  return { box, label: target.label };
}

/** A box around another, by chance larger, smaller or shifted; most are squares as motion detection makes them. */
function loosely(box: Box, aspect: number, random: Random): Box {
  const w = box.w * random.range(0.9, 1.15);
  const h = box.h * random.range(0.9, 1.15);
  const least = 0.25 * random.range(0.7, 1.3);
  const side = Math.max(least, Math.max(w * aspect, h) * random.range(1.1, 1.6));
  const square = random.chance(0.7);
  const wide = square ? side / aspect : w * random.range(1, 1.6);
  const high = square ? side : h * random.range(1, 1.6);
  const shift = (size: number, room: number) => random.range(-0.5, 0.5) * Math.max(0.12 * size, room - size);
  return inside({
    x: box.x + box.w / 2 + shift(box.w, wide) * 0.5 - wide / 2,
    y: box.y + box.h / 2 + shift(box.h, high) * 0.5 - high / 2,
    w: wide,
    h: high,
  });
}

function anywhere(random: Random): Box {
  const w = random.range(0.05, 0.5);
  const h = random.range(0.08, 0.6);
  return inside({ x: random.range(-0.1, 1 - w / 2), y: random.range(-0.1, 1 - h / 2), w, h });
}

function inside({ x, y, w, h }: Box): Box {
  const left = Math.min(0.97, Math.max(0, x));
  const top = Math.min(0.97, Math.max(0, y));
  return {
    x: left,
    y: top,
    w: Math.max(0.03, Math.min(1, x + w) - left),
    h: Math.max(0.03, Math.min(1, y + h) - top),
  };
}

/** Area that two boxes share. */
function common(a: Box, b: Box): number {
  const w = Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x);
  const h = Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y);
  return Math.max(0, w) * Math.max(0, h);
}
