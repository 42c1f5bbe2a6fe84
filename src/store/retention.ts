/**
 * Keeps the log within its age and size: the oldest detections, events and snapshots go first. Everything is
 * deleted in small transactions with a pause between them, so that what is being recorded never waits for long.
 */
import { setImmediate } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import type { StoreConfig } from '../config/schema.ts';
import { codeOf } from '../errors.ts';
import type { SnapshotFile, Snapshots } from './snapshot-files.ts';
import type { RetentionResult } from './store-types.ts';

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
 * Deletes what is too old or too much. What was recorded while the clock was not to be believed has no age of its own: it
 * is too old when something is that was recorded later. When there is too much, what was recorded first goes first,
 * whatever the clock said.
 * @param time wall-clock milliseconds; null: the clock is not to be believed, so that nothing is too old
 * @param signal ends the work early; the promise rejects then
 */
export async function enforceRetention(
  db: Database,
  snapshots: Snapshots,
  limits: Limits,
  time: number | null,
  signal: AbortSignal,
): Promise<Omit<RetentionResult, 'corrected'>> {
  const breathe = async () => {
    await setImmediate();
    signal.throwIfAborted();
  };
  const rows = new Rows(db, snapshots, breathe);
  if (time !== null) {
    const since = (days: number) => Math.round(time - days * DAY_MS);
    const tooOld = (table: keyof Rows['deleted'], at: string, days: number) =>
      isBefore(db, table, at, since(days));
    await rows.deleteWhile('detections', tooOld('detections', 'captured_at', limits.keep_detections));
    await rows.deleteWhile('events', `${tooOld('events', 'started_at', limits.keep_events)} AND ${ENDED}`);
    await rows.deleteWhile('samples', tooOld('samples', 'at', limits.keep_samples));
    await mergeSamples(db, since(1), breathe);
  }
  if (isOverSize(db, limits)) {
    const tooBig = () => usedBytes(db) > limits.max_database * MB * HEADROOM;
    await rows.deleteWhile('detections', `TRUE ${AS_RECORDED}`, tooBig);
    await rows.deleteWhile('events', `${ENDED} ${AS_RECORDED}`, tooBig);
  }
  await vacuum(db, limits, breathe);
  return { ...rows.deleted, snapshots: await sweepSnapshots(snapshots, limits, time, breathe) };
}

/** Rows whose time is known, or known to be no later than they say. */
const HAS_AGE = 'time_uncertain <> 1';
/** The condition for rows from before a time. Settings of the clock are numbered in the order in which they were. */
function isBefore(db: Database, table: string, at: string, time: number): string {
  const before = `${at} < ${time}`;
  const number = (sql: string) => db.prepare<[], number | null>(sql).pluck().get();
  if (!number(`SELECT 1 FROM ${table} WHERE time_uncertain = 1 LIMIT 1`)) return before;
  const last = number(`SELECT max(clock) FROM ${table} WHERE ${before} AND ${HAS_AGE}`) ?? 0;
  return `${before} AND (${HAS_AGE} OR coalesce(clock, 0) < ${last})`;
}

const ENDED = 'ended_at IS NOT NULL';
const AS_RECORDED = 'ORDER BY rowid';

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

  /** Deletes rows until none is left or `wanted` says that it is enough. @param which condition and order in SQL */
  async deleteWhile(
    table: keyof Rows['deleted'],
    which: string,
    wanted: () => boolean = () => true,
  ): Promise<void> {
    const snapshot = table === 'events' ? 'snapshot' : 'NULL';
    const remove = this.#db
      .prepare<[], string | null>(
        `DELETE FROM ${table} WHERE rowid IN (
           SELECT rowid FROM ${table} WHERE ${which} LIMIT ${BATCH})
         RETURNING ${snapshot}`,
      )
      .pluck();
    while (wanted()) {
      const removed = remove.all();
      this.deleted[table] += removed.length;
      this.#snapshots.remove(removed.filter((path) => path !== null));
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
      `SELECT min(at) FROM samples WHERE at < ? AND at % ${MERGED_SPAN_MS} <> 0 AND ${HAS_AGE}`,
    )
    .pluck();
  const span = `at > @start AND at < @start + ${MERGED_SPAN_MS} AND ${HAS_AGE}`;
  const merge = db.prepare(`
    INSERT OR REPLACE INTO samples
    SELECT @start, max(uptime_s), avg(fps), max(frames_captured), max(frames_analysed), max(frames_dropped),
      avg(inference_ms_p50), max(inference_ms_p90), max(inference_ms_p99),
      avg(cpu_percent), avg(cpu_children_percent), max(temperature_c),
      max(throttled), max(throttle_reasons), max(event_loop_ms_p99), max(bytes_written),
      max(outbox_depth), max(outbox_dropped), NULL, max(time_uncertain), NULL, max(rss_mb)
    FROM samples WHERE ${span}`);
  const remove = db.prepare(`DELETE FROM samples WHERE ${span}`);
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

/** Deletes snapshots that are too old or too many; returns how many. */
async function sweepSnapshots(
  snapshots: Snapshots,
  limits: Limits,
  time: number | null,
  breathe: Breathe,
): Promise<number> {
  const files = await snapshots.list(breathe);
  const firstKept = time === null ? Number.NEGATIVE_INFINITY : time - limits.keep_snapshots * DAY_MS;
  const isBeforeThat = ({ at, time_uncertain }: SnapshotFile) => at < firstKept && time_uncertain !== 1;
  const lastClock = files.reduce(
    (last, file) => (isBeforeThat(file) ? Math.max(last, file.clock ?? 0) : last),
    0,
  );
  const limit = limits.max_snapshots * MB;
  const target = snapshots.bytes > limit ? limit * HEADROOM : limit;
  let gone: SnapshotFile[] = [];
  let removed = 0;
  for (const [index, file] of files.entries()) {
    if (index % BATCH === 0) {
      await breathe();
      snapshots.forget(gone);
      gone = [];
    }
    const tooOld = isBeforeThat(file) || (file.at < firstKept && (file.clock ?? 0) < lastClock);
    if (!tooOld && snapshots.bytes <= target) continue;
    try {
      if (snapshots.delete(file) === 'removed') removed++;
      gone.push(file);
    } catch (error) {
      // A file that another user owns stays; the others still go.
      if (!['EACCES', 'EPERM'].includes(codeOf(error))) throw error;
    }
  }
  snapshots.forget(gone);
  await snapshots.tidy(breathe);
  return removed;
}

function pragma(db: Database, name: string): number {
  return db.pragma(name, { simple: true }) as number;
}
