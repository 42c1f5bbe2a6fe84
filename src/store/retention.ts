/**
 * Keeps the log within its age and size: the oldest detections, events and snapshots go first. Everything is
 * deleted in small transactions with a pause between them, so that what is being recorded never waits for long.
 */
import { setImmediate } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import type { StoreConfig } from '../config/schema.ts';
import { CLOCK_UNSET } from '../platform/time-sync.ts';
import { codeOf } from './connection.ts';
import type { SnapshotFile, Snapshots } from './snapshots.ts';
import { localTime } from './time.ts';
import type { RetentionResult } from './types.ts';

const DAY_MS = 86_400_000;
const MB = 1_000_000;

/** Rows that one transaction deletes. */
const BATCH = 500;

/** Pages that are given back to the file system in one go. */
const VACUUM_PAGES = 128;

/** Room that is made below a limit, so that it is not met again at once. */
const HEADROOM = 0.95;

/** Samples older than a day are merged to one for each span of this length, in ms. */
export const MERGED_SPAN_MS = 900_000;

/** A snapshot may be written a moment before its event: only an older one without an event is left over, in ms. */
const ORPHAN_AGE_MS = 3_600_000;

export type Limits = Pick<
  StoreConfig,
  'keep_events' | 'keep_detections' | 'keep_samples' | 'keep_snapshots' | 'max_database' | 'max_snapshots'
>;

/** Lets other work in; rejects when it is time to stop. */
type Breathe = () => Promise<void>;

/** Bytes of the database that hold something. */
export function usedBytes(db: Database): number {
  return (pragma(db, 'page_count') - pragma(db, 'freelist_count')) * pragma(db, 'page_size');
}

/** Whether the database has grown over its limit. */
export function isOverSize(db: Database, limits: Limits): boolean {
  return usedBytes(db) > limits.max_database * MB;
}

/**
 * Deletes what is too old or too much. Rows and pictures from before the clock was set have no age.
 * @param time wall-clock milliseconds; null: the clock is not set, so that nothing is too old
 * @param signal ends the work early; the promise rejects then
 */
export async function enforceRetention(
  db: Database,
  snapshots: Snapshots,
  limits: Limits,
  time: number | null,
  signal: AbortSignal,
): Promise<RetentionResult> {
  const now = time ?? 0;
  const breathe = async () => {
    await setImmediate();
    signal.throwIfAborted();
  };
  const rows = new Rows(db, snapshots, breathe);
  await rows.deleteWhile(
    'detections',
    'captured_at < ? AND time_uncertain = 0',
    now - limits.keep_detections * DAY_MS,
  );
  await rows.deleteWhile(
    'events',
    'started_at < ? AND ended_at IS NOT NULL AND time_uncertain = 0',
    now - limits.keep_events * DAY_MS,
  );
  await rows.deleteWhile('samples', 'at < ?', now - limits.keep_samples * DAY_MS);
  await mergeSamples(db, now - DAY_MS, breathe);

  if (isOverSize(db, limits)) {
    const tooBig = () => usedBytes(db) > limits.max_database * MB * HEADROOM;
    await rows.deleteWhile('detections', 'captured_at < ?', Number.MAX_SAFE_INTEGER, tooBig);
    await rows.deleteWhile(
      'events',
      'started_at < ? AND ended_at IS NOT NULL',
      Number.MAX_SAFE_INTEGER,
      tooBig,
    );
  }
  await vacuum(db, limits, breathe);
  return { ...rows.deleted, snapshots: await sweepSnapshots(db, snapshots, limits, now, breathe) };
}

const TIME_COLUMN = { events: 'started_at', detections: 'captured_at', samples: 'at' } as const;

class Rows {
  readonly deleted = { events: 0, detections: 0, samples: 0 };
  readonly #db: Database;
  readonly #snapshots: Snapshots;
  readonly #breathe: Breathe;

  constructor(db: Database, snapshots: Snapshots, breathe: Breathe) {
    this.#db = db;
    this.#snapshots = snapshots;
    this.#breathe = breathe;
  }

  /** Deletes rows, oldest first, until none is left or `wanted` says that it is enough. */
  async deleteWhile(
    table: keyof typeof TIME_COLUMN,
    condition: string,
    before: number,
    wanted: () => boolean = () => true,
  ): Promise<void> {
    const snapshot = table === 'events' ? 'snapshot' : 'NULL';
    const remove = this.#db
      .prepare<[number], string | null>(
        `DELETE FROM ${table} WHERE rowid IN (
           SELECT rowid FROM ${table} WHERE ${condition} ORDER BY ${TIME_COLUMN[table]} LIMIT ${BATCH})
         RETURNING ${snapshot}`,
      )
      .pluck();
    while (wanted()) {
      const removed = remove.all(before);
      this.deleted[table] += removed.length;
      for (const path of removed) {
        if (path !== null) await this.#snapshots.remove(path);
      }
      if (removed.length < BATCH) return;
      await this.#breathe();
    }
  }
}

/** Merges samples to one per span: means of what varies, the worst of what must not be missed, the last count. */
async function mergeSamples(db: Database, before: number, breathe: Breathe): Promise<void> {
  const end = before - (before % MERGED_SPAN_MS);
  const oldest = db
    .prepare<[number], number | null>(
      `SELECT min(at) FROM samples WHERE at < ? AND at % ${MERGED_SPAN_MS} <> 0`,
    )
    .pluck();
  const merge = db.prepare(`
    INSERT OR REPLACE INTO samples
    SELECT @start, max(uptime_s), avg(fps), max(frames_captured), max(frames_analysed), max(frames_dropped),
      avg(inference_ms_p50), max(inference_ms_p90), max(inference_ms_p99),
      avg(cpu_percent), avg(cpu_children_percent), max(rss_mb), max(temperature_c),
      max(throttled), max(throttle_reasons), max(event_loop_ms_p99), max(bytes_written),
      max(outbox_depth), max(outbox_dropped), NULL
    FROM samples WHERE at > @start AND at < @start + ${MERGED_SPAN_MS}`);
  const remove = db.prepare(`DELETE FROM samples WHERE at > @start AND at < @start + ${MERGED_SPAN_MS}`);
  const step = db.transaction((start: number) => {
    merge.run({ start });
    remove.run({ start });
  });
  for (;;) {
    const first = oldest.get(end);
    if (first === null || first === undefined) return;
    step.immediate(first - (first % MERGED_SPAN_MS));
    await breathe();
  }
}

/** Gives empty pages back to the file system while the file is over its limit or a tenth of it is empty. */
async function vacuum(db: Database, limits: Limits, breathe: Breathe): Promise<void> {
  for (;;) {
    const pages = pragma(db, 'page_count');
    const empty = pragma(db, 'freelist_count');
    const tooBig = pages * pragma(db, 'page_size') > limits.max_database * MB;
    if (empty === 0 || (!tooBig && empty < pages / 10)) return;
    db.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`);
    if (pragma(db, 'freelist_count') === empty) return;
    await breathe();
  }
}

/** Deletes files that are too old, too many, or whose event has gone; returns how many. */
async function sweepSnapshots(
  db: Database,
  snapshots: Snapshots,
  limits: Limits,
  now: number,
  breathe: Breathe,
): Promise<number> {
  const files = await snapshots.list(now, breathe);
  const firstDay = localTime(now - limits.keep_snapshots * DAY_MS).slice(0, 10);
  const firstSet = localTime(CLOCK_UNSET).slice(0, 10);
  const limit = limits.max_snapshots * MB;
  const target = snapshots.bytes > limit ? limit * HEADROOM : limit;
  const known = db.prepare<[string], 1>('SELECT 1 FROM events WHERE id = ?').pluck();
  const forget = db.prepare('UPDATE events SET snapshot = NULL WHERE id = ?');
  const isOrphan = ({ eventId, modifiedAt }: SnapshotFile) =>
    eventId !== null && now - modifiedAt > ORPHAN_AGE_MS && known.get(eventId) === undefined;

  const removed: SnapshotFile[] = [];
  for (const [index, file] of files.entries()) {
    if (index % BATCH === 0) await breathe();
    const tooOld = file.day < firstDay && file.day >= firstSet;
    if (!tooOld && snapshots.bytes <= target && !isOrphan(file)) continue;
    try {
      await snapshots.remove(file.path, file.bytes);
    } catch (error) {
      // A file of another user stays; the others still go.
      if (!['EACCES', 'EPERM'].includes(codeOf(error))) throw error;
      continue;
    }
    removed.push(file);
  }
  const forgetAll = db.transaction((batch: SnapshotFile[]) => {
    for (const { eventId } of batch) if (eventId !== null) forget.run(eventId);
  });
  for (let start = 0; start < removed.length; start += BATCH) {
    forgetAll.immediate(removed.slice(start, start + BATCH));
    await breathe();
  }
  return removed.length;
}

function pragma(db: Database, name: string): number {
  return db.pragma(name, { simple: true }) as number;
}
