/** One label in one zone of one camera: at most one event at a time. The rules stand in decider.ts. */

import type { LabelConfig } from '../config/schema.ts';
import { roundScore } from '../runtime/round.ts';
import type { Box, DetectionEvent, EventChange, Gate, Region } from '../types.ts';
import { ScoreWindow } from './score-window.ts';

/** A frame's time on both clocks, milliseconds: `wall` for people, `monotonic` for durations. */
export interface Moment {
  wall: number;
  monotonic: number;
}

/** What a track needs to know to open an event. */
export interface TrackOptions {
  camera: string;
  zone: string | null;
  label: string;
  settings: LabelConfig;
  model: string;
  newId: (now: number) => string;
}

/** An event whose best score grew by this much is told again at once … */
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
  told: { topScore: number; monotonic: number };
}

export class Track {
  readonly #options: TrackOptions;
  readonly #window: ScoreWindow;
  #open: Open | null = null;
  /** The last frame that counted, while no event is open. */
  #last: { monotonic: number; hitAt: Box | null } | null = null;
  #on: number;
  #off: number;

  constructor(options: TrackOptions) {
    this.#options = options;
    this.#window = new ScoreWindow(options.settings.window);
    this.#on = options.settings.on;
    this.#off = Math.min(options.settings.off, this.#on);
  }

  /** The open event as it is now. */
  get event(): DetectionEvent | null {
    return this.#open && { ...this.#open.event };
  }

  /** Where the label of the open event was last seen, or that of an event that the last frame was a hit for. */
  get region(): Region | null {
    const box = this.#open?.box ?? this.#last?.hitAt;
    return box ? { box, zone: this.#options.zone } : null;
  }

  /** Puts another `on` in place of the configured one (null: back to it); `off` keeps its distance. */
  setThreshold(value: number | null): void {
    const { on, off } = this.#options.settings;
    this.#on = value ?? on;
    this.#off = roundScore(Math.max(0, this.#on - Math.max(0, on - off)));
  }

  /**
   * Takes in the score of an analysed frame, 0…1, and where it was found.
   * @param patience as for `pass`
   */
  observe(score: number, box: Box, now: Moment, gate: Gate, patience: number): EventChange | null {
    const open = this.#open;
    if (!open) {
      this.#forget(now, patience);
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
   * Lets time pass without a score.
   * @param patience milliseconds that silence must last before it counts as absence
   */
  pass(now: Moment, patience: number): EventChange | null {
    if (this.#open) return this.#endIfDue(this.#open, now, patience);
    this.#forget(now, patience);
    return null;
  }

  /** Ends the open event whatever its settings, and forgets the scores. `wall` is the time of day. */
  close(wall: number): EventChange | null {
    const open = this.#open;
    this.#open = null;
    this.#last = null;
    this.#window.clear();
    if (!open) return null;
    const { event, started, seen } = open;
    // By the clock that never jumps: both times are of one setting of the other one.
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
    const told = { topScore: score, monotonic: now.monotonic };
    this.#open = { event, started: now, seen: now, box, told };
    return { type: 'start', event: { ...event } };
  }

  #update({ event, told }: Open, { monotonic }: Moment): EventChange | null {
    const growth = roundScore(event.topScore - told.topScore);
    const waited = monotonic - told.monotonic >= UPDATE_MS;
    if (growth < (waited ? SMALL_STEP : STEP)) return null;
    told.topScore = event.topScore;
    told.monotonic = monotonic;
    return { type: 'update', event: { ...event } };
  }

  /** Empties the window after a silence that would have ended an event. */
  #forget(now: Moment, patience: number): void {
    if (!this.#last) return;
    const silence = now.monotonic - this.#last.monotonic;
    if (silence < Math.max(this.#options.settings.hold * 1000, patience)) return;
    this.#window.clear();
    this.#last = null;
  }

  #endIfDue({ started, seen }: Open, now: Moment, patience: number): EventChange | null {
    const { hold, min, max } = this.#options.settings;
    const age = now.monotonic - started.monotonic;
    const absence = now.monotonic - seen.monotonic;
    const gone = absence >= Math.max(hold * 1000, patience) && age >= min * 1000;
    return gone || age >= max * 1000 ? this.close(now.wall) : null;
  }
}
