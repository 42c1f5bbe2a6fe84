import Database from 'better-sqlite3';
import type { Recorder } from './recorder.ts';

/** A row of the event log. */
export interface EventRow {
  id: string;
  camera: string;
  zone: string | null;
  label: string;
  started_at: number;
  ended_at: number | null;
  [column: string]: unknown;
}

/** The events in a database, oldest first, read while a daemon may be writing. */
export function readEvents(file: string): EventRow[] {
  const db = new Database(file, { readonly: true });
  try {
    return db.prepare<[], EventRow>('SELECT * FROM events ORDER BY rowid').all();
  } finally {
    db.close();
  }
}

/** Runs SQLite's own check of a whole database file; `ok` if nothing is wrong. */
export function integrity(file: string): unknown {
  const db = new Database(file);
  try {
    return db.pragma('integrity_check', { simple: true });
  } finally {
    db.close();
  }
}

/** The JSON of an event message. */
export interface EventMessage {
  id: string;
  type: 'start' | 'update' | 'end';
  label: string;
  started_at: string;
  ended_at: string | null;
  snapshot: string | null;
  time_uncertain: boolean;
  replayed: boolean;
}

/** Event messages of one camera that a subscriber was sent, in order. */
export function eventMessages(recorder: Recorder, device: string, camera: string): EventMessage[] {
  return recorder.texts(`lookout/${device}/${camera}/event`).map((text) => JSON.parse(text) as EventMessage);
}

/** A camera whose every frame makes events: each of `labels` starts one that ends after `seconds`. */
export function busyCamera(seconds: number, labels: readonly string[]) {
  return {
    camera: { source: { kind: 'demo', fps: 10 }, classify: 'frame', gate: 'always' },
    labels: Object.fromEntries(
      labels.map((label) => [label, { on: 0, off: 0, window: 1, hits: 1, hold: 0, max: seconds }]),
    ),
  };
}
