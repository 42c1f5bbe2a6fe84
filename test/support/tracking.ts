/** Compares tracks with the truth of the demo scene. */
import type { FoundObject } from '../../src/decide/object-track.ts';
import { Tracker } from '../../src/decide/tracker.ts';
import { Scene } from '../../src/demo/scene.ts';
import { coverageOf, iouOf } from '../../src/runtime/box.ts';
import { Random } from '../../src/runtime/random.ts';
import type { Box } from '../../src/types.ts';

/** One frame of the truth. */
export interface TruthFrame {
  /** Milliseconds. */
  at: number;
  objects: { id: number; label: string; box: Box; hidden: boolean }[];
}

/** More of a thing must be inside the frame, and less of it behind others, for a detector to be expected to find it. */
const INSIDE = 0.4;
const HIDDEN = 0.6;

/** What is to be seen in the demo scene, without its pixels. */
export function truthOf(seed: number, seconds: number, fps: number, busy: boolean): TruthFrame[] {
  const scene = new Scene(320, 240, seed, 0, busy);
  const pixels = new Uint8Array(scene.bytes);
  return Array.from({ length: seconds * fps }, (_, index) => {
    const at = (index * 1000) / fps;
    const seen = scene.render(at, pixels).filter(({ visible }) => visible >= INSIDE);
    const objects = seen.map(({ actor, label, box }, depth) => {
      const covered = Math.max(0, ...seen.slice(depth + 1).map((nearer) => coverageOf(box, nearer.box)));
      return { id: actor, label, box, hidden: covered > HIDDEN };
    });
    return { at, objects };
  });
}

export interface Detector {
  /** Probability that an object is not found. */
  missing: number;
  /** Standard deviation of each edge, as a share of the box. */
  jitter: number;
}

/** What a detector with such faults says about a frame. */
export function detect(
  { objects }: TruthFrame,
  { missing, jitter }: Detector,
  random: Random,
): FoundObject[] {
  return objects.flatMap(({ label, box, hidden }) => {
    const misses = random.chance(missing);
    const [left, top, right, bottom] = [0, 0, 0, 0].map(() => jitter * random.gaussian()) as [
      number,
      number,
      number,
      number,
    ];
    const w = box.w * (1 + right - left);
    const h = box.h * (1 + bottom - top);
    if (hidden || misses) return [];
    return [
      {
        label,
        score: random.range(0.5, 0.95),
        box: { x: box.x + left * box.w, y: box.y + top * box.h, w, h },
      },
    ];
  });
}

export interface Agreement {
  /** Ristani et al. 2016, "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking". */
  idf1: number;
  /** Times that an object of the truth goes on under another track. */
  switches: number;
  tracks: number;
  actors: number;
}

/** Follows the detections and compares every confirmed track, where it was seen or expected, with the truth. */
export function follow(truth: readonly TruthFrame[], detector: Detector, seed: number): Agreement {
  const random = new Random(seed, 77);
  const tracker = new Tracker({ thresholds: () => ({ high: 0.5, low: 0.2 }) });
  const overlaps = new Map<string, number>();
  const trackOf = new Map<number, number>();
  const trackIds = new Set<number>();
  const pending = new Map<number, { frame: number; box: Box }[]>();
  let switches = 0;
  const boxes: Map<number, Box>[] = truth.map(() => new Map());
  truth.forEach((frame, index) => {
    tracker.observe(detect(frame, detector, random), frame.at);
    for (const track of tracker.all) {
      const waiting = pending.get(track.id) ?? [];
      waiting.push({ frame: index, box: { ...track.box } });
      pending.set(track.id, waiting);
      // A path begins at the first sight and ends at the last: in between it counts where the thing was expected.
      if (track.state === 'tentative' || track.lastSeenAt !== frame.at) continue;
      trackIds.add(track.id);
      for (const { frame: then, box } of waiting.splice(0)) boxes[then]!.set(track.id, box);
    }
  });
  let truths = 0;
  let tracked = 0;
  truth.forEach((frame, index) => {
    const shown = boxes[index]!;
    const counted = frame.objects.filter(({ hidden }) => !hidden);
    truths += counted.length;
    const free = new Map(shown);
    for (const { id, box, hidden } of frame.objects) {
      let best = -1;
      let most = 0.5;
      for (const [track, other] of free) {
        const overlap = iouOf(box, other);
        if (overlap >= most) {
          most = overlap;
          best = track;
        }
      }
      if (best < 0) continue;
      free.delete(best);
      if (hidden) continue;
      tracked++;
      overlaps.set(`${id} ${best}`, (overlaps.get(`${id} ${best}`) ?? 0) + 1);
      const before = trackOf.get(id);
      if (before !== undefined && before !== best) switches++;
      trackOf.set(id, best);
    }
    // What is shown behind others is neither right nor wrong.
    for (const [, other] of free) {
      if (!frame.objects.some(({ hidden, box }) => hidden && iouOf(box, other) > 0.2)) tracked++;
    }
  });
  // Each object has one track and each track one object: greedy, which is exact where tracks are mostly right.
  const usedObjects = new Set<string>();
  const usedTracks = new Set<string>();
  let right = 0;
  for (const [pair, count] of [...overlaps].sort(([, a], [, b]) => b - a)) {
    const [object, track] = pair.split(' ') as [string, string];
    if (usedObjects.has(object) || usedTracks.has(track)) continue;
    usedObjects.add(object);
    usedTracks.add(track);
    right += count;
  }
  return {
    idf1: (2 * right) / (truths + tracked),
    switches,
    tracks: trackIds.size,
    actors: new Set(truth.flatMap(({ objects }) => objects.map(({ id }) => id))).size,
  };
}
