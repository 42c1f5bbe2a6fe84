/** One label in one zone of one camera: at most one event at a time. decider.ts has the rules. */
import type { LabelConfig } from '../config/schema.ts';
import { roundScore } from '../runtime/round.ts';
import type { Box, DetectionEvent, EventChange, Gate, Region } from '../types.ts';

/** A time on both clocks, in milliseconds: `wall` for timestamps, `monotonic` for durations. */
export interface Moment {
  wall: number;
  monotonic: number;
}

/** What a track needs to open an event. */
export interface TrackOptions {
  camera: string;
  zone: string | null;
  label: string;
  settings: LabelConfig;
  model: string;
  newId: (now: number) => string;
}

/** An event whose best score grew by this much is reported again immediately … */
const STEP = 0.05;
/** … and one that grew by less, but by at least this much, after this many milliseconds. */
const SMALL_STEP = 0.01;
const UPDATE_MS = 5000;

interface Open {
  event: DetectionEvent;
  started: Moment;
  seen: Moment;
  /** Where the label was last seen. */
  box: Box;
  reported: { topScore: number; monotonic: number };
}

/** The last `size` scores of one label in one zone: the M of N-of-M. */
export class ScoreWindow {
  readonly #scores: number[] = [];
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  /** Adds a score and removes the oldest one of a full window. */
  push(score: number): void {
    if (this.#scores.length === this.#size) this.#scores.shift();
    this.#scores.push(score);
  }

  /** Number of scores that reach the threshold. */
  hits(threshold: number): number {
    return this.#scores.filter((score) => score >= threshold).length;
  }

  clear(): void {
    this.#scores.length = 0;
  }

  /** A copy of the scores, oldest first. */
  toArray(): number[] {
    return [...this.#scores];
  }
}

export class Track {
  readonly #options: TrackOptions;
  readonly #window: ScoreWindow;
  #open: Open | null = null;
  /** The last analysed frame, while no event is open. */
  #last: { monotonic: number; hitAt: Box | null } | null = null;
  #on: number;
  #off: number;

  constructor(options: TrackOptions) {
    this.#options = options;
    this.#window = new ScoreWindow(options.settings.window);
    this.#on = options.settings.on;
    this.#off = Math.min(options.settings.off, this.#on);
  }

  /** The open event in its current state. */
  get event(): DetectionEvent | null {
    return this.#open && { ...this.#open.event };
  }

  /** The region where the label was last seen: that of the open event, or that of a hit in the last frame. */
  get region(): Region | null {
    const box = this.#open?.box ?? this.#last?.hitAt;
    return box ? { box, zone: this.#options.zone } : null;
  }

  /** Replaces the configured `on` (null: restores it); `off` keeps its distance. */
  setThreshold(value: number | null): void {
    const { on, off } = this.#options.settings;
    this.#on = value ?? on;
    this.#off = roundScore(Math.max(0, this.#on - Math.max(0, on - off)));
  }

  /**
   * Processes the score of an analysed frame, 0…1, and its box.
   * @param absenceMs as for `pass`
   */
  observe(score: number, box: Box, now: Moment, gate: Gate, absenceMs: number): EventChange | null {
    const open = this.#open;
    if (!open) {
      this.#clearAfterSilence(now, absenceMs);
      this.#window.push(score);
      this.#last = { monotonic: now.monotonic, hitAt: score >= this.#on ? box : null };
      const hits = this.#window.hits(this.#on);
      return hits >= this.#options.settings.hits ? this.#start(score, box, hits, now, gate) : null;
    }

    open.event.score = score;
    if (score >= this.#off) {
      open.seen = now;
      open.box = box;
    }
    const better = score > open.event.topScore;
    if (better) {
      open.event.topScore = score;
      open.event.box = box;
    }
    const ended = this.#endIfDue(open, now, score >= this.#off ? Number.POSITIVE_INFINITY : 0);
    return ended ?? (better ? this.#update(open, now) : null);
  }

  /**
   * Advances the time without a score.
   * @param absenceMs milliseconds of silence that count as absence
   */
  pass(now: Moment, absenceMs: number): EventChange | null {
    if (this.#open) return this.#endIfDue(this.#open, now, absenceMs);
    this.#clearAfterSilence(now, absenceMs);
    return null;
  }

  /** Ends the open event regardless of its settings, and discards the scores. `wall` is wall-clock time. */
  close(wall: number): EventChange | null {
    const open = this.#open;
    this.#open = null;
    this.#last = null;
    this.#window.clear();
    if (!open) return null;
    const { event, started, seen } = open;
    // From the monotonic clock: the wall clock may have been set between the two times.
    const lasted = seen.monotonic - started.monotonic;
    const shortest = Math.min(this.#options.settings.min * 1000, wall - event.startedAt);
    event.endedAt = event.startedAt + Math.round(Math.max(lasted, shortest));
    return { type: 'end', event };
  }

  #start(score: number, box: Box, hits: number, now: Moment, gate: Gate): EventChange {
    const { camera, zone, label, settings, model, newId } = this.#options;
    const event: DetectionEvent = {
      id: newId(now.wall),
      camera,
      zone,
      label,
      score,
      topScore: score,
      box,
      startedAt: now.wall,
      endedAt: null,
      model,
      snapshot: null,
      reason: { scores: this.#window.toArray(), threshold: this.#on, hits, window: settings.window, gate },
    };
    const reported = { topScore: score, monotonic: now.monotonic };
    this.#open = { event, started: now, seen: now, box, reported };
    return { type: 'start', event: { ...event } };
  }

  #update({ event, reported }: Open, { monotonic }: Moment): EventChange | null {
    const growth = roundScore(event.topScore - reported.topScore);
    const waited = monotonic - reported.monotonic >= UPDATE_MS;
    if (growth < (waited ? SMALL_STEP : STEP)) return null;
    reported.topScore = event.topScore;
    reported.monotonic = monotonic;
    return { type: 'update', event: { ...event } };
  }

  /** Empties the window after a silence that would have ended an event. */
  #clearAfterSilence(now: Moment, absenceMs: number): void {
    if (!this.#last) return;
    const silence = now.monotonic - this.#last.monotonic;
    if (silence < Math.max(this.#options.settings.hold * 1000, absenceMs)) return;
    this.#window.clear();
    this.#last = null;
  }

  #endIfDue({ started, seen }: Open, now: Moment, absenceMs: number): EventChange | null {
    const { hold, min, max } = this.#options.settings;
    const age = now.monotonic - started.monotonic;
    const absence = now.monotonic - seen.monotonic;
    const gone = absence >= Math.max(hold * 1000, absenceMs) && age >= min * 1000;
    return gone || age >= max * 1000 ? this.close(now.wall) : null;
  }
}
