/**
 * Turns the scores of one camera into events. Pure: every call gets the time, and the result is the only output.
 *
 *  1. Each zone and label has at most one open event. Its score in a frame is the best over the zone's regions.
 *  2. An event starts when `hits` of the last `window` analysed frames reach `on`, in a row or not.
 *  3. Every score of at least `off` keeps it open. It ends when `hold` has passed since the last of them.
 *  4. A frame that the gate kept from the model carries no information: it neither fills the window nor shows absence.
 *     `hold` continues, but silence ends no event before two and a half frame intervals, or 2 s: a slow camera, a
 *     dropped frame and the second between two analyses of a still scene are not absence. The same silence also empties
 *     the window: hits that are hours apart make no event. Therefore the region of a hit is analysed again, like that
 *     of an open event.
 *  5. `min` keeps an event open, `max` ends it. After each end the window is empty: an event needs new hits.
 *  6. Durations are measured with the monotonic clock. Timestamps are wall-clock time; `endedAt` is `startedAt` plus the
 *     time for which the label was seen, or plus `min`.
 *  7. An update is reported when the best score grew by 0.05, or by 0.01 after 5 s. An unchanged event is not repeated.
 *  8. The frame of a start or an update is the best one so far: it becomes the event's snapshot.
 *  9. Closing ends every event, and so does another model or other settings for the label. Every start has exactly one
 *     end.
 */
import { isDeepStrictEqual } from 'node:util';
import type { LabelConfig } from '../config/schema.ts';
import { roundScore } from '../runtime/round.ts';
import type { Analysis, Box, Detection, DetectionEvent, EventChange, Region } from '../types.ts';
import type { CompiledLabels } from './label-classes.ts';
import { type Moment, Track } from './track.ts';

/** The model that analyses a zone, and the labels that make events there. */
export interface ZoneModel {
  /** Identifies the model, as in Scores. */
  key: string;
  /** Name of the model in events. */
  name: string;
  compiled: CompiledLabels;
  /** Labels that make events, with their effective settings. */
  labels: Record<string, LabelConfig>;
}

/** The models of a camera: of zones with a model of their own, and of everything else. */
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

/** Shorter silence is never absence: the region of an open event is analysed once a second. */
const MIN_ABSENCE_MS = 2000;
const ABSENCE_FRAMES = 2.5;

interface Score {
  score: number;
  box: Box;
}

/** The state of a zone. */
interface Zone {
  model: ZoneModel;
  /** Buffer for the scores of one region, one for each of `compiled.names`. */
  scores: Float32Array;
  /** By label, with its index in `compiled.names`. */
  tracks: Map<string, { track: Track; index: number }>;
}

export class Decider {
  readonly #options: DeciderOptions;
  #models: CameraModels;
  readonly #zones = new Map<string | null, Zone>();
  #threshold: number | null = null;
  /** Monotonic times of the last three frames. */
  #recent: number[] = [];

  constructor(options: DeciderOptions) {
    this.#options = options;
    this.#models = options.models;
  }

  /** The open events in their current state. */
  get open(): DetectionEvent[] {
    return this.#tracks().flatMap((track) => track.event ?? []);
  }

  /** The regions to analyse again, without duplicates: those of open events, and those of hits in the last frame. */
  get openRegions(): Region[] {
    const regions = this.#tracks().flatMap((track) => track.region ?? []);
    return [...new Map(regions.map((region) => [JSON.stringify(region), region])).values()];
  }

  /** Replaces every label's `on` by one threshold (null: back to the settings); `off` keeps its distance. */
  setThreshold(value: number | null): void {
    this.#threshold = value;
    for (const track of this.#tracks()) track.setThreshold(value);
  }

  /**
   * Changes models and label settings from now on. Ends the events of labels whose model or settings change. Later scores
   * of the previous models are ignored.
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

  /** Processes the analysis of one frame, whether the model ran or not. */
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
      // An index loop: an iterator would make garbage for each of a thousand names.
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

    const absenceMs = this.#absenceMs();
    for (const track of this.#tracks()) {
      const found = seen.get(track);
      const change = found
        ? track.observe(found.score, found.box, now, gate, absenceMs)
        : track.pass(now, absenceMs);
      if (!change) continue;
      decision.changes.push(change);
      if (change.type !== 'end') decision.best.push(change.event);
    }
    return decision;
  }

  /** Advances the time while no frames arrive, and ends events that are over. Call it about once a second. */
  tick(now: number, monotonic: number): EventChange[] {
    const moment: Moment = { wall: now, monotonic };
    return this.#tracks().flatMap((track) => track.pass(moment, this.#absenceMs()) ?? []);
  }

  /** Ends all events and discards all scores: when the camera is turned off or the daemon stops. */
  close(now: number): EventChange[] {
    return this.#tracks().flatMap((track) => track.close(now) ?? []);
  }

  /** Silence that counts as absence, in ms. Uses the shorter of the last two intervals, so that one stall has no effect. */
  #absenceMs(): number {
    const gaps = this.#recent.slice(1).map((time, i) => time - this.#recent[i]!);
    return gaps.length > 0 ? Math.max(MIN_ABSENCE_MS, ABSENCE_FRAMES * Math.min(...gaps)) : MIN_ABSENCE_MS;
  }

  #tracks(): Track[] {
    return [...this.#zones.values()].flatMap(({ tracks }) => [...tracks.values()].map(({ track }) => track));
  }

  /** The state of a zone, created on first use. */
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

/** Whether a label is unchanged: same model, same settings, same classes. */
function isSameLabel(label: string, a: ZoneModel, b: ZoneModel): boolean {
  return (
    a.key === b.key &&
    isDeepStrictEqual(a.labels[label], b.labels[label]) &&
    isDeepStrictEqual(a.compiled.classesOf(label), b.compiled.classesOf(label))
  );
}
