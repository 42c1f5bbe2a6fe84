/**
 * Keeps the log within its limits of age and size: the oldest detections, events and snapshots are deleted first, in
 * small transactions with a pause in between, so that writes never wait for long.
 */
import { setImmediate } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import type { StoreConfig } from '../config/schema.ts';
import { codeOf } from '../errors.ts';
import type { SnapshotFile, Snapshots } from './snapshot-files.ts';
import type { RetentionResult } from './store-types.ts';

const DAY_MS = 86_400_000;
const MB = 1_000_000;

/** Rows deleted in one transaction. */
const BATCH = 500;

/** Pages released to the file system at a time. */
const VACUUM_PAGES = 128;

/** Share of a limit to shrink to, so that the limit is not reached again immediately. */
const HEADROOM = 0.95;

/** Samples older than a day are merged to one for each interval of this length, in ms. */
export const MERGED_SPAN_MS = 900_000;

export type Limits = Pick<
  StoreConfig,
  'keep_events' | 'keep_detections' | 'keep_samples' | 'keep_snapshots' | 'max_database' | 'max_snapshots'
>;

/** Lets other work run; rejects to cancel. */
type YieldToEventLoop = () => Promise<void>;

/** Bytes in use in the database. */
export function usedBytes(db: Database): number {
  return (pragma(db, 'page_count') - pragma(db, 'freelist_count')) * pragma(db, 'page_size');
}

/** Whether the database has grown over its limit. */
export function isOverSize(db: Database, limits: Limits): boolean {
  return usedBytes(db) > limits.max_database * MB;
}

/**
 * Deletes what is older or larger than the limits. Rows recorded while the clock was not trusted have no age of their
 * own: they are too old when something recorded later is. Over the size limit, rows are deleted in the order of
 * recording, independent of the clock.
 * @param time wall-clock milliseconds; null: the clock is not trusted, so nothing is too old
 * @param signal cancels the work; the promise then rejects
 */
export async function enforceRetention(
  db: Database,
  snapshots: Snapshots,
  limits: Limits,
  time: number | null,
  signal: AbortSignal,
): Promise<Omit<RetentionResult, 'corrected'>> {
  const yieldToEventLoop = async () => {
    await setImmediate();
    signal.throwIfAborted();
  };
  const rows = new Rows(db, snapshots, yieldToEventLoop);
  if (time !== null) {
    const since = (days: number) => Math.round(time - days * DAY_MS);
    const tooOld = (table: keyof Rows['deleted'], at: string, days: number) =>
      isBefore(db, table, at, since(days));
    await rows.deleteWhile('detections', tooOld('detections', 'captured_at', limits.keep_detections));
    await rows.deleteWhile('events', `${tooOld('events', 'started_at', limits.keep_events)} AND ${ENDED}`);
    await rows.deleteWhile('samples', tooOld('samples', 'at', limits.keep_samples));
    await mergeSamples(db, since(1), yieldToEventLoop);
  }
  if (isOverSize(db, limits)) {
    const tooBig = () => usedBytes(db) > limits.max_database * MB * HEADROOM;
    await rows.deleteWhile('detections', `TRUE ${AS_RECORDED}`, tooBig);
    await rows.deleteWhile('events', `${ENDED} ${AS_RECORDED}`, tooBig);
  }
  await vacuum(db, limits, yieldToEventLoop);
  return { ...rows.deleted, snapshots: await sweepSnapshots(snapshots, limits, time, yieldToEventLoop) };
}

/** Rows with a known time, or known not to be later than recorded. */
const HAS_AGE = 'time_uncertain <> 1';
/** The condition for rows from before a time. Settings of the clock are numbered chronologically. */
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
  readonly #yieldToEventLoop: YieldToEventLoop;

  constructor(db: Database, snapshots: Snapshots, yieldToEventLoop: YieldToEventLoop) {
    this.#db = db;
    this.#snapshots = snapshots;
    this.#yieldToEventLoop = yieldToEventLoop;
  }

  /** Deletes rows until none is left or `wanted` returns false. @param which condition and order in SQL */
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
      await this.#yieldToEventLoop();
    }
  }
}

/** Merges samples to one per interval: means, the worst of what must not be missed, and the last of each counter. */
async function mergeSamples(db: Database, before: number, yieldToEventLoop: YieldToEventLoop): Promise<void> {
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
    await yieldToEventLoop();
  }
}

/** Releases empty pages to the file system while the file is over its limit or a tenth of it is empty. */
async function vacuum(db: Database, limits: Limits, yieldToEventLoop: YieldToEventLoop): Promise<void> {
  for (;;) {
    const pages = pragma(db, 'page_count');
    const empty = pragma(db, 'freelist_count');
    const tooBig = pages * pragma(db, 'page_size') > limits.max_database * MB;
    if (empty === 0 || (!tooBig && empty < pages / 10)) return;
    db.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`);
    if (pragma(db, 'freelist_count') === empty) return;
    await yieldToEventLoop();
  }
}

/** Deletes snapshots over the limits of age and size; returns how many. */
async function sweepSnapshots(
  snapshots: Snapshots,
  limits: Limits,
  time: number | null,
  yieldToEventLoop: YieldToEventLoop,
): Promise<number> {
  const files = await snapshots.list(yieldToEventLoop);
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
      await yieldToEventLoop();
      snapshots.forget(gone);
      gone = [];
    }
    const tooOld = isBeforeThat(file) || (file.at < firstKept && (file.clock ?? 0) < lastClock);
    if (!tooOld && snapshots.bytes <= target) continue;
    try {
      if (snapshots.delete(file) === 'removed') removed++;
      gone.push(file);
    } catch (error) {
      // A file that another user owns stays; continue with the others.
      if (!['EACCES', 'EPERM'].includes(codeOf(error))) throw error;
    }
  }
  snapshots.forget(gone);
  await snapshots.cleanUp(yieldToEventLoop);
  return removed;
}

function pragma(db: Database, name: string): number {
  return db.pragma(name, { simple: true }) as number;
}
