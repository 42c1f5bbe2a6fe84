/**
 * From the objects of single frames to tracks: the same thing over time.
 *
 * Two passes as in ByteTrack (Zhang et al. 2022, "ByteTrack: Multi-Object Tracking by Associating Every Detection Box",
 * section 3): objects with high scores are paired with all tracks first, then those with low scores with the tracks that
 * are left, because a thing that is half hidden still has a low score. Pairs are judged by overlap and by the distance
 * of the foot points, since at a few frames a second the boxes of a walking person do not overlap.
 *
 *   tentative ──`hits` sights──▶ confirmed ──a miss──▶ lost ──`hold` without a sight──▶ ended
 *       └──too many misses──▶ forgotten      ◀──a sight──┘
 */
import { coverageOf, iouOf } from '../runtime/box.ts';
import type { Box } from '../types.ts';
import { Assignment } from './assignment.ts';
import { type FoundObject, ObjectTrack, sizeOf } from './object-track.ts';

export interface TrackerOptions {
  /** Scores from which an object starts a track, and from which it continues one. */
  thresholds: (label: string) => { high: number; low: number };
  /** Sights that confirm a track. */
  hits?: number;
  /** Milliseconds without a sight after which a track ends. */
  holdMs?: number;
}

export interface TrackerResult {
  /** Tracks that were confirmed in this frame. */
  confirmed: ObjectTrack[];
  /** Confirmed tracks that have ended. */
  ended: ObjectTrack[];
}

/** A tentative track is forgotten after this many misses in a row. */
const TENTATIVE_MISSES = 3;
/** Pairs whose affinity is lower, 0…1, are different things: in the first pass and in the second. */
const AFFINITY = 0.15;
const AFFINITY_LOW = 0.35;
/** What another label, and another size, take from the affinity. */
const OTHER_LABEL = 0.5;
const OTHER_SIZE = 0.5;
/** How far from the expected foot point a thing may be, as a share of its size, besides three standard deviations. */
const REACH = 0.35;
const DEVIATIONS = 3;
const MOST_REACH = 2.5;
/** A new object that covers a known one this much (IoU) is that one, found twice. */
const SAME = 0.6;
/** A track that is hidden by another one this much may be away for twice `holdMs`. */
const HIDDEN = 0.5;
/** A track that is lost at an edge of the frame, where things come and go, ends after this share of `holdMs`. */
const AT_EDGE = 0.02;
const HOLD_AT_EDGE = 0.4;
/** Share of a track's box that must have been analysed for its absence to count. */
const LOOKED_AT = 0.5;

export class Tracker {
  readonly #options: Required<TrackerOptions>;
  readonly #assignment = new Assignment();
  #tracks: ObjectTrack[] = [];
  #lastId = 0;
  #costs = new Float64Array(64);
  #columnOf = new Int32Array(16);

  constructor({ thresholds, hits = 3, holdMs = 3000 }: TrackerOptions) {
    this.#options = { thresholds, hits, holdMs };
  }

  /** All tracks that have not ended, the tentative ones too. */
  get all(): readonly ObjectTrack[] {
    return this.#tracks;
  }

  /** Tracks that are confirmed and have not ended; those that are lost too. */
  get tracks(): readonly ObjectTrack[] {
    return this.#tracks.filter(({ state }) => state !== 'tentative');
  }

  /**
   * Takes the objects of a frame in.
   * @param at monotonic milliseconds
   * @param areas the parts of the frame that were analysed; null: all of it
   */
  observe(objects: readonly FoundObject[], at: number, areas: readonly Box[] | null = null): TrackerResult {
    const { thresholds, hits } = this.#options;
    const result: TrackerResult = { confirmed: [], ended: [] };
    for (const track of this.#tracks) track.predict(at);
    const high = objects.filter(({ label, score }) => score >= thresholds(label).high);
    const low = objects.filter(
      ({ label, score }) => score >= thresholds(label).low && score < thresholds(label).high,
    );
    const unpaired = this.#pair(this.#tracks, high, AFFINITY);
    this.#pair(
      unpaired.tracks.filter(({ state }) => state !== 'tentative'),
      low,
      AFFINITY_LOW,
    );
    for (const track of this.#tracks) {
      if (track.lastSeenAt === at) {
        if (track.state === 'tentative' && track.hits >= hits) result.confirmed.push(track);
        if (track.state === 'lost' || track.hits >= hits) track.state = 'confirmed';
      } else if (areas === null || isCovered(track.box, areas)) this.#miss(track);
    }
    for (const found of unpaired.objects) this.#begin(found, at, result);
    this.#tracks = this.#tracks.filter((track) => {
      if (!this.#isOver(track, at)) return true;
      if (track.state !== 'tentative') result.ended.push(track);
      return false;
    });
    return result;
  }

  /** Ends every track. @returns those that were confirmed */
  close(): ObjectTrack[] {
    const ended = this.#tracks.filter(({ state }) => state !== 'tentative');
    this.#tracks = [];
    return ended;
  }

  #pair(
    tracks: readonly ObjectTrack[],
    objects: readonly FoundObject[],
    least: number,
  ): { tracks: ObjectTrack[]; objects: FoundObject[] } {
    if (tracks.length === 0 || objects.length === 0) return { tracks: [...tracks], objects: [...objects] };
    const pairs = tracks.length * objects.length;
    if (this.#costs.length < pairs) this.#costs = new Float64Array(2 * pairs);
    if (this.#columnOf.length < tracks.length) this.#columnOf = new Int32Array(2 * tracks.length);
    tracks.forEach((track, row) => {
      objects.forEach((found, column) => {
        this.#costs[row * objects.length + column] = 1 - affinity(track, found);
      });
    });
    this.#assignment.solve(this.#costs, tracks.length, objects.length, this.#columnOf, 1 - least);
    const free = new Set(objects);
    const apart: ObjectTrack[] = [];
    tracks.forEach((track, row) => {
      const found = objects[this.#columnOf[row]!];
      if (!found) apart.push(track);
      else {
        track.correct(found);
        free.delete(found);
      }
    });
    return { tracks: apart, objects: [...free] };
  }

  #begin(found: FoundObject, at: number, result: TrackerResult): void {
    const twice = this.#tracks.some(
      (track) => track.lastSeenAt === at && iouOf(track.box, found.box) >= SAME,
    );
    if (twice) return;
    const track = new ObjectTrack(++this.#lastId, found, at);
    this.#tracks.push(track);
    if (this.#options.hits > 1) return;
    track.state = 'confirmed';
    result.confirmed.push(track);
  }

  #miss(track: ObjectTrack): void {
    track.misses++;
    if (track.state === 'confirmed') track.state = 'lost';
  }

  #isOver(track: ObjectTrack, at: number): boolean {
    if (track.state === 'tentative') return track.misses >= TENTATIVE_MISSES;
    if (track.state === 'confirmed') return false;
    const away = at - track.lastSeenAt;
    const { holdMs } = this.#options;
    if (isAtEdge(track.box)) return away >= HOLD_AT_EDGE * holdMs;
    return away >= holdMs && (away >= 2 * holdMs || !this.#isHidden(track));
  }

  #isHidden(track: ObjectTrack): boolean {
    return this.#tracks.some(
      (other) =>
        other.state === 'confirmed' &&
        other.box.y + other.box.h >= track.box.y + track.box.h &&
        coverageOf(track.box, other.box) >= HIDDEN,
    );
  }
}

/** How well an object continues a track, at most 1: overlap or distance, less what differs in label and size. */
function affinity(track: ObjectTrack, { label, box }: FoundObject): number {
  const size = Math.min(track.size, sizeOf(box.w, box.h));
  const foot = track.foot;
  const distance = Math.hypot(box.x + box.w / 2 - foot.x, box.y + box.h - foot.y);
  const reach = Math.min(MOST_REACH * size, REACH * size + DEVIATIONS * track.uncertainty);
  const overlap = iouOf(track.box, box);
  if (distance >= reach && overlap < 0.2) return 0;
  const near = Math.max(0, 1 - distance / reach);
  // One side at least stays much as it was, however a thing turns or moves its legs.
  const growth = Math.min(Math.abs(Math.log(box.w / track.box.w)), Math.abs(Math.log(box.h / track.box.h)));
  const other = label === track.label ? 0 : OTHER_LABEL;
  return (overlap + near) / 2 + 0.25 * near - other - OTHER_SIZE * growth;
}

const isAtEdge = ({ x, y, w, h }: Readonly<Box>): boolean =>
  x <= AT_EDGE || y <= AT_EDGE || x + w >= 1 - AT_EDGE || y + h >= 1 - AT_EDGE;

const isCovered = (box: Readonly<Box>, areas: readonly Box[]): boolean =>
  areas.some((area) => coverageOf(box, area) >= LOOKED_AT);
