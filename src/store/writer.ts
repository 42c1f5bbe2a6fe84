/** Writes batches to the database, each in one transaction. */
import type { Database, Statement } from 'better-sqlite3';
import { codeOf, messageOf } from '../errors.ts';
import { CLOCK_UNSET, type ClockSetting } from '../runtime/time-judge.ts';
import { noteClocks } from './clocks.ts';
import {
  DETECTION_COLUMNS,
  EVENT_COLUMNS,
  type EventRow,
  fromDetection,
  fromEvent,
  fromSample,
  insertSql,
  type OutboxColumns,
  SAMPLE_COLUMNS,
  toEvent,
  toOutboxRow,
} from './event-rows.ts';
import { FileList } from './file-list.ts';
import type { Batch, EventEntry, LeftOpen, OutboxRow, Rejection } from './store-types.ts';

export class Writer {
  /** The snapshot files of this database. */
  readonly files: FileList;
  readonly #db: Database;
  readonly #maxOutbox: number;
  readonly #maxOutboxBytes: number;
  readonly #upsertEvent: Statement;
  readonly #insertMessage: Statement;
  readonly #insertDetection: Statement;
  readonly #insertSample: Statement;
  readonly #deletePublished: Statement<[number], number>;
  readonly #deleteUpTo: Statement<[number, number], number>;
  readonly #oldest: Statement<[number], { id: number; bytes: number }>;
  readonly #addDropped: Statement;
  /** Settings of the clock that are in the database. */
  readonly #clocks = new Set<number>();
  #changed: number;
  #outboxDepth: number;
  #outboxBytes: number;
  #lastOutboxId: number;

  /**
   * @param db as `openForWriting` returns it
   * @param options.maxOutbox most rows in the outbox
   * @param options.maxOutboxBytes most bytes in the outbox
   * @param options.outboxFloor outbox ids start after this one, also in a new file
   */
  constructor(
    db: Database,
    {
      maxOutbox,
      maxOutboxBytes = Number.POSITIVE_INFINITY,
      outboxFloor = 0,
    }: { maxOutbox: number; maxOutboxBytes?: number; outboxFloor?: number },
  ) {
    this.#db = db;
    this.files = new FileList(db);
    this.#maxOutbox = maxOutbox;
    this.#maxOutboxBytes = maxOutboxBytes;
    this.#upsertEvent = db.prepare(`
      ${insertSql('events', [...EVENT_COLUMNS, 'changed'])}
      ON CONFLICT (id) DO UPDATE SET
        score = excluded.score, top_score = excluded.top_score,
        box_x = excluded.box_x, box_y = excluded.box_y, box_w = excluded.box_w, box_h = excluded.box_h,
        -- The start may have been corrected meanwhile, so an end only provides the duration.
        ended_at = COALESCE(started_at + excluded.ended_at - excluded.started_at, ended_at),
        snapshot = excluded.snapshot,
        reason = excluded.reason, changed = excluded.changed`);
    this.#insertMessage = db.prepare(
      insertSql('outbox', [
        'created_at',
        'topic',
        'payload',
        'qos',
        'retain',
        'live',
        'bytes',
        'time_uncertain',
        'clock',
      ]),
    );
    this.#insertDetection = db.prepare(insertSql('detections', DETECTION_COLUMNS));
    this.#insertSample = db.prepare(
      insertSql('samples', SAMPLE_COLUMNS).replace('INSERT', 'INSERT OR REPLACE'),
    );
    this.#deletePublished = db
      .prepare<[number], number>('DELETE FROM outbox WHERE id <= ? RETURNING bytes')
      .pluck();
    this.#deleteUpTo = db
      .prepare<[number, number], number>('DELETE FROM outbox WHERE live = ? AND id <= ? RETURNING bytes')
      .pluck();
    this.#oldest = db.prepare('SELECT id, bytes FROM outbox WHERE live = ? ORDER BY id');
    this.#addDropped = db.prepare(`
      INSERT INTO counters (name, value) VALUES ('outbox_dropped', ?)
      ON CONFLICT (name) DO UPDATE SET value = value + excluded.value`);

    if (outboxFloor > this.#number("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")) {
      db.exec("DELETE FROM sqlite_sequence WHERE name = 'outbox'");
      db.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?)").run(outboxFloor);
    }
    this.#changed = this.#number('SELECT max(changed) FROM events');
    this.#outboxDepth = this.#number('SELECT count(*) FROM outbox');
    this.#outboxBytes = this.#number('SELECT sum(bytes) FROM outbox');
    this.#lastOutboxId = this.#number("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'");
  }

  get lastOutboxId(): number {
    return this.#lastOutboxId;
  }

  get outboxDepth(): number {
    return this.#outboxDepth;
  }

  get outboxBytes(): number {
    return this.#outboxBytes;
  }

  /** Messages ever dropped because too many waited, or because they waited for too long. */
  get outboxDropped(): number {
    return this.#number("SELECT value FROM counters WHERE name = 'outbox_dropped'");
  }

  /**
   * Writes a batch in one transaction; it is on the disk when this returns. Skips entries that can never be written.
   * @returns the skipped entries
   * @throws SqliteError if the file or the disk fails; nothing is written then
   */
  commit(batch: Batch): Rejection[] {
    const rejected: Rejection[] = [];
    const attempt = (what: string, event: number | null, write: () => void) => {
      try {
        write();
      } catch (error) {
        if (!isUnwritableValue(error)) throw error;
        rejected.push({ event, reason: `${what}: ${messageOf(error)}` });
      }
    };
    const before = { depth: this.#outboxDepth, bytes: this.#outboxBytes };
    let last = this.#lastOutboxId;
    const write = this.#db.transaction(() => {
      this.#noteClocks(batch.clocks);
      for (const [index, entry] of batch.events.entries()) {
        attempt(`event ${entry.change.event.id}`, index, () => {
          last = this.#savepoint(entry) ?? last;
        });
      }
      for (const detection of batch.detections) {
        attempt(`detection of ${detection.label}`, null, () =>
          this.#insertDetection.run(fromDetection(detection)),
        );
      }
      for (const sample of batch.samples) {
        attempt('sample', null, () => this.#insertSample.run(fromSample(sample)));
      }
      if (batch.publishedUpTo > 0) this.#forget(this.#deletePublished.all(batch.publishedUpTo));
      if (batch.undeliverable > 0) this.#addDropped.run(batch.undeliverable);
      this.#trim();
    });
    try {
      write.immediate();
    } catch (error) {
      this.#clocks.clear();
      this.#outboxDepth = before.depth;
      this.#outboxBytes = before.bytes;
      throw error;
    }
    this.#lastOutboxId = last;
    return rejected;
  }

  /** The next number for `events.changed`. */
  nextChange(): number {
    return ++this.#changed;
  }

  #noteClocks(settings: readonly ClockSetting[]): void {
    const added = settings.filter(({ id }) => !this.#clocks.has(id));
    if (added.length > 0) noteClocks(this.#db, added);
    for (const { id } of added) this.#clocks.add(id);
  }

  /** Drops messages from the head of the outbox that were recorded before this time, wall-clock milliseconds. */
  dropOlderThan(time: number): void {
    const drop = this.#db.transaction(() => {
      const oldest = this.#db.prepare<[], { id: number; created_at: number; time_uncertain: number }>(
        'SELECT id, created_at, time_uncertain FROM outbox ORDER BY id',
      );
      let upTo = 0;
      for (const { id, created_at, time_uncertain } of oldest.iterate()) {
        // A message recorded with a wrong clock may have any age, but is older than the ones after it.
        if (created_at < CLOCK_UNSET || time_uncertain === 1) continue;
        if (created_at >= time) break;
        upTo = id;
      }
      if (upTo > 0) this.#drop(this.#deletePublished.all(upTo));
    });
    drop.immediate();
  }

  /** Drops the oldest messages over the limits of the outbox, live ones first. */
  #trim(): void {
    for (const live of [1, 0]) {
      let count = this.#outboxDepth - this.#maxOutbox;
      let bytes = this.#outboxBytes - this.#maxOutboxBytes;
      if (count <= 0 && bytes <= 0) return;
      let upTo = 0;
      for (const row of this.#oldest.iterate(live)) {
        upTo = row.id;
        count--;
        bytes -= row.bytes;
        if (count <= 0 && bytes <= 0) break;
      }
      if (upTo > 0) this.#drop(this.#deleteUpTo.all(live, upTo));
    }
  }

  #drop(bytes: number[]): void {
    this.#addDropped.run(bytes.length);
    this.#forget(bytes);
  }

  /** Updates the counters after rows were deleted. @param bytes of each row */
  #forget(bytes: number[]): void {
    this.#outboxDepth -= bytes.length;
    this.#outboxBytes -= bytes.reduce((sum, size) => sum + size, 0);
  }

  /** Writes an event and its messages atomically; returns the id of the last message. */
  #savepoint({
    change: { event },
    messages,
    recordedAt,
    timeUncertain,
    clock,
  }: EventEntry): number | undefined {
    let last: number | undefined;
    let written = 0;
    this.#db.transaction(() => {
      const row = fromEvent(event);
      this.#upsertEvent.run({ ...row, changed: ++this.#changed });
      if (row.snapshot !== null) {
        const { id, snapshot: path, started_at: at, time_uncertain, clock } = row;
        this.files.note({ path, event: id, at, time_uncertain, clock });
      }
      for (const { topic, payload, qos, retain, live } of messages) {
        const bytes = Buffer.byteLength(topic) + Buffer.byteLength(payload);
        const { lastInsertRowid } = this.#insertMessage.run({
          created_at: Math.round(recordedAt),
          topic,
          payload,
          qos,
          retain: Number(retain),
          live: Number(live),
          bytes,
          time_uncertain: Number(timeUncertain ?? false),
          clock: clock ?? null,
        });
        last = Number(lastInsertRowid);
        written += bytes;
      }
    })();
    this.#outboxDepth += messages.length;
    this.#outboxBytes += written;
    return last;
  }

  /** Events without an end, oldest first. */
  leftOpen(): LeftOpen[] {
    const rows = this.#db.prepare<[], EventRow & { last_seen_at: number }>(`
      SELECT *, coalesce(
        (SELECT max(captured_at) FROM detections AS seen
          WHERE seen.captured_at >= events.started_at AND seen.camera = events.camera
            AND seen.zone IS events.zone AND seen.label = events.label AND seen.clock IS events.clock),
        started_at
      ) AS last_seen_at
      FROM events WHERE ended_at IS NULL ORDER BY seq`);
    return rows.all().map((row) => ({ event: toEvent(row), lastSeenAt: row.last_seen_at }));
  }

  /** Waiting messages with a higher id, oldest first. */
  outbox(afterId: number, limit: number): OutboxRow[] {
    return this.#db
      .prepare<[number, number], OutboxColumns>('SELECT * FROM outbox WHERE id > ? ORDER BY id LIMIT ?')
      .all(afterId, limit)
      .map(toOutboxRow);
  }

  #number(sql: string): number {
    return Number(this.#db.prepare(sql).pluck().get() ?? 0);
  }
}

/** Whether an error is caused by the values (a NaN, a missing field), so that it would recur with every attempt. */
function isUnwritableValue(error: unknown): boolean {
  return (
    error instanceof TypeError ||
    error instanceof RangeError ||
    /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE)/.test(codeOf(error))
  );
}
