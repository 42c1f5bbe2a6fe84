/**
 * Turns the scores of one camera into events. Pure: time comes in with every call, nothing goes out but the answer.
 *
 *  1. Each zone and label has at most one open event. Its score in a frame is the best over the zone's regions.
 *  2. An event starts when `hits` of the last `window` analysed frames reach `on`, in a row or not.
 *  3. Every score of at least `off` keeps it open. It ends when `hold` has passed since the last of them.
 *  4. A frame that the gate kept from the model says nothing: it neither fills the window nor shows absence. `hold`
 *     runs on, but silence ends no event before two and a half frame intervals, or 2 s: a slow camera, a dropped
 *     frame and the second between two looks at a still picture are not absence. So much silence also empties the
 *     window: hits hours apart make no event. A hit is therefore looked at again, as an open event is.
 *  5. `min` keeps an event open, `max` ends it. After each end the window is empty: an event needs fresh hits.
 *  6. Durations are taken from the monotonic clock. The stamps are wall-clock time; `endedAt` is when the label was
 *     last seen (or `min` was over) and never before `startedAt`.
 *  7. An update is told when the best score grew by 0.05, or by 0.01 after 5 s: what stays the same is told once.
 *  8. The frame of a start or an update is the best one so far: it is the event's picture.
 *  9. Closing ends every event. Nothing else is needed: every start has exactly one end.
 */
import { roundScore } from '../config/labels.ts';
import type { CameraConfig, LabelConfig } from '../config/schema.ts';
import type { Analysis, Box, Detection, Event, EventChange, Region } from '../types.ts';
import type { CompiledLabels } from './groups.ts';
import { type Moment, Track } from './track.ts';

export interface DeciderOptions {
  camera: string;
  /** Labels that make events, with their effective settings. */
  labels: Record<string, LabelConfig>;
  zones: CameraConfig['zones'];
  compiled: CompiledLabels;
  /** Name of the model, for the events. */
  model: string;
  /** Detections with a lower score are not reported, 0…1. */
  logThreshold: number;
  newId: (now: number) => string;
}

export interface Decision {
  detections: Detection[];
  changes: EventChange[];
  /** Open events of which this frame is the best so far. */
  best: Event[];
}

/** Silence shorter than this is never absence: an open event is looked at once a second. */
const PATIENCE_MS = 2000;
const PATIENCE_FRAMES = 2.5;

interface Score {
  score: number;
  box: Box;
}

export class Decider {
  readonly #options: DeciderOptions;
  readonly #scores: Float32Array;
  /** Where each label that makes events stands in `compiled.names`. */
  readonly #index: Map<string, number>;
  readonly #zones = new Map<string | null, Map<string, Track>>();
  #threshold: number | null = null;
  /** When the last three frames were taken. */
  #recent: number[] = [];

  constructor(options: DeciderOptions) {
    this.#options = options;
    const { names } = options.compiled;
    this.#scores = new Float32Array(names.length);
    this.#index = new Map(Object.keys(options.labels).map((label) => [label, names.indexOf(label)]));
  }

  /** The open events as they are now. */
  get open(): Event[] {
    return this.#tracks().flatMap((track) => track.event ?? []);
  }

  /**
   * Where to look again, each place once: where open events were last seen, and what the last frame was a hit for.
   */
  get openRegions(): Region[] {
    const regions = this.#tracks().flatMap((track) => track.region ?? []);
    return [...new Map(regions.map((region) => [JSON.stringify(region), region])).values()];
  }

  /** Puts one threshold in place of every label's `on` (null: back to the settings); `off` keeps its distance. */
  setThreshold(value: number | null): void {
    this.#threshold = value;
    for (const track of this.#tracks()) track.setThreshold(value);
  }

  /** Takes in what vision found in one frame, whether the model looked at it or not. */
  observe({ camera, capturedAt, monotonic, gate, scores }: Analysis): Decision {
    const now: Moment = { wall: capturedAt, monotonic };
    const decision: Decision = { detections: [], changes: [], best: [] };
    this.#recent = [...this.#recent.slice(-2), monotonic];

    const seen = new Map<Track, Score>();
    for (const { region, probabilities } of scores) {
      const { zone, box } = region;
      this.#options.compiled.score(probabilities, this.#scores);
      for (const [i, raw] of this.#scores.entries()) {
        const score = roundScore(raw);
        if (score < this.#options.logThreshold) continue;
        const label = this.#options.compiled.names[i]!;
        decision.detections.push({ camera, zone, label, score, box, capturedAt });
      }
      for (const [label, track] of this.#zone(zone)) {
        const score = roundScore(this.#scores[this.#index.get(label)!]!);
        if (score >= (seen.get(track)?.score ?? 0)) seen.set(track, { score, box });
      }
    }

    const patience = this.#patience();
    for (const track of this.#tracks()) {
      const found = seen.get(track);
      const change = found
        ? track.observe(found.score, found.box, now, gate, patience)
        : track.pass(now, patience);
      if (!change) continue;
      decision.changes.push(change);
      if (change.type !== 'end') decision.best.push(change.event);
    }
    return decision;
  }

  /** Lets time pass while no frames come; call it about once a second. Ends what is over. */
  tick(now: number, monotonic: number): EventChange[] {
    const moment: Moment = { wall: now, monotonic };
    return this.#tracks().flatMap((track) => track.pass(moment, this.#patience()) ?? []);
  }

  /** Ends all events and forgets all scores: when the camera is turned off or the daemon stops. */
  close(now: number): EventChange[] {
    return this.#tracks().flatMap((track) => track.close(now) ?? []);
  }

  /** How long silence must last to be absence. Of the last two intervals the shorter, lest one stall count. */
  #patience(): number {
    const gaps = this.#recent.slice(1).map((time, i) => time - this.#recent[i]!);
    return gaps.length > 0 ? Math.max(PATIENCE_MS, PATIENCE_FRAMES * Math.min(...gaps)) : PATIENCE_MS;
  }

  #tracks(): Track[] {
    return [...this.#zones.values()].flatMap((tracks) => [...tracks.values()]);
  }

  /** The tracks of a zone, made when it is first seen. */
  #zone(zone: string | null): Map<string, Track> {
    const known = this.#zones.get(zone);
    if (known) return known;
    const { camera, labels, zones, model, newId } = this.#options;
    const allowed = zone === null ? undefined : zones[zone]?.labels;
    const tracks = new Map<string, Track>();
    for (const [label, settings] of Object.entries(labels)) {
      if (allowed && !allowed.includes(label)) continue;
      const track = new Track({ camera, zone, label, settings, model, newId });
      track.setThreshold(this.#threshold);
      tracks.set(label, track);
    }
    this.#zones.set(zone, tracks);
    return tracks;
  }
}
