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
 *  6. Durations are taken from the monotonic clock. The stamps are wall-clock time; `endedAt` is as long
 *     after `startedAt` as the label was seen for, or `min`.
 *  7. An update is told when the best score grew by 0.05, or by 0.01 after 5 s: what stays the same is told once.
 *  8. The frame of a start or an update is the best one so far: it is the event's picture.
 *  9. Closing ends every event, and so does another model or other settings for the label. Nothing else is needed:
 *     every start has exactly one end.
 */
import { isDeepStrictEqual } from 'node:util';
import type { LabelConfig } from '../config/schema.ts';
import { roundScore } from '../runtime/round.ts';
import type { Analysis, Box, Detection, DetectionEvent, EventChange, Region } from '../types.ts';
import type { CompiledLabels } from './label-classes.ts';
import { type Moment, Track } from './track.ts';

/** The model that looks at a zone, and what makes events there. */
export interface ZoneModel {
  /** Tells it from any other model, as in Scores. */
  key: string;
  /** For the events. */
  name: string;
  compiled: CompiledLabels;
  /** Labels that make events, with their effective settings. */
  labels: Record<string, LabelConfig>;
}

/** The models of a camera: for the whole picture and zones that are not named, and for the others. */
export interface CameraModels {
  camera: ZoneModel;
  zones: Record<string, ZoneModel>;
}

export interface DeciderOptions {
  camera: string;
  models: CameraModels;
  /** Detections with a lower score are not reported, 0…1. */
  logThreshold: number;
  newId: (now: number) => string;
}

export interface Decision {
  detections: Detection[];
  changes: EventChange[];
  /** Open events of which this frame is the best so far. */
  best: DetectionEvent[];
}

/** Silence shorter than this is never absence: an open event is looked at once a second. */
const PATIENCE_MS = 2000;
const PATIENCE_FRAMES = 2.5;

interface Score {
  score: number;
  box: Box;
}

/** What is kept of a zone. */
interface Zone {
  model: ZoneModel;
  /** Room for the scores of one region, one for each of `compiled.names`. */
  scores: Float32Array;
  /** By label, with its place in `compiled.names`. */
  tracks: Map<string, { track: Track; index: number }>;
}

export class Decider {
  readonly #options: DeciderOptions;
  #models: CameraModels;
  readonly #zones = new Map<string | null, Zone>();
  #threshold: number | null = null;
  /** When the last three frames were taken. */
  #recent: number[] = [];

  constructor(options: DeciderOptions) {
    this.#options = options;
    this.#models = options.models;
  }

  /** The open events as they are now. */
  get open(): DetectionEvent[] {
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

  /**
   * Judges by other models or label settings from now on: events of labels for which something changes are ended.
   * What the models before have still to say is not listened to.
   */
  setModels(models: CameraModels, now: number): EventChange[] {
    this.#models = models;
    const changes: EventChange[] = [];
    for (const [name, { model, tracks }] of [...this.#zones]) {
      this.#zones.delete(name);
      const next = this.#zone(name);
      for (const [label, { track }] of tracks) {
        const successor = next.tracks.get(label);
        if (successor && isSameLabel(label, model, next.model)) {
          successor.track = track;
          continue;
        }
        const end = track.close(now);
        if (end) changes.push(end);
      }
    }
    return changes;
  }

  /** Takes in what vision found in one frame, whether the model looked at it or not. */
  observe({ camera, capturedAt, monotonic, gate, scores }: Analysis): Decision {
    const now: Moment = { wall: capturedAt, monotonic };
    const decision: Decision = { detections: [], changes: [], best: [] };
    this.#recent = [...this.#recent.slice(-2), monotonic];

    const seen = new Map<Track, Score>();
    for (const { region, model, probabilities } of scores) {
      const { zone, box } = region;
      const watched = this.#zone(zone);
      if (watched.model.key !== model) continue;
      watched.model.compiled.score(probabilities, watched.scores);
      // Without an iterator, which would make garbage for each of a thousand names.
      for (let i = 0; i < watched.scores.length; i++) {
        const score = roundScore(watched.scores[i]!);
        if (score < this.#options.logThreshold) continue;
        const label = watched.model.compiled.names[i]!;
        const { name } = watched.model;
        decision.detections.push({ camera, zone, label, score, box, capturedAt, model: name });
      }
      for (const { track, index } of watched.tracks.values()) {
        const score = roundScore(watched.scores[index]!);
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
    return [...this.#zones.values()].flatMap(({ tracks }) => [...tracks.values()].map(({ track }) => track));
  }

  /** The tracks of a zone, made when it is first seen. */
  #zone(zone: string | null): Zone {
    const known = this.#zones.get(zone);
    if (known) return known;
    const { camera, newId } = this.#options;
    const model = (zone === null ? undefined : this.#models.zones[zone]) ?? this.#models.camera;
    const { names } = model.compiled;
    const tracks: Zone['tracks'] = new Map();
    for (const [label, settings] of Object.entries(model.labels)) {
      const track = new Track({ camera, zone, label, settings, model: model.name, newId });
      track.setThreshold(this.#threshold);
      tracks.set(label, { track, index: names.indexOf(label) });
    }
    const made = { model, scores: new Float32Array(names.length), tracks };
    this.#zones.set(zone, made);
    return made;
  }
}

/** Whether a label means the same to both: same model, same settings, same classes. */
function isSameLabel(label: string, a: ZoneModel, b: ZoneModel): boolean {
  return (
    a.key === b.key &&
    isDeepStrictEqual(a.labels[label], b.labels[label]) &&
    isDeepStrictEqual(a.compiled.classesOf(label), b.compiled.classesOf(label))
  );
}
