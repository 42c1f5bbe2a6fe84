/** What is written, and how: one transaction for each batch. */
import type { Database, Statement } from 'better-sqlite3';
import { messageOf } from '../errors.ts';
import { codeOf } from './connection.ts';
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
} from './rows.ts';
import type { Batch, EventEntry, LeftOpen, OutboxRow, Rejection } from './types.ts';

export class Writer {
  readonly #db: Database;
  readonly #maxOutbox: number;
  readonly #upsertEvent: Statement;
  readonly #insertMessage: Statement;
  readonly #insertDetection: Statement;
  readonly #insertSample: Statement;
  readonly #deletePublished: Statement;
  readonly #deleteOldest: Statement;
  readonly #addDropped: Statement;
  #changed: number;
  #outboxDepth: number;
  #lastOutboxId: number;

  /**
   * @param db as `openForWriting` returns it
   * @param options.maxOutbox most rows that wait for the broker
   * @param options.outboxFloor outbox ids start after this one, also in a fresh file
   */
  constructor(db: Database, { maxOutbox, outboxFloor = 0 }: { maxOutbox: number; outboxFloor?: number }) {
    this.#db = db;
    this.#maxOutbox = maxOutbox;
    this.#upsertEvent = db.prepare(`
      ${insertSql('events', [...EVENT_COLUMNS, 'changed'])}
      ON CONFLICT (id) DO UPDATE SET
        score = excluded.score, top_score = excluded.top_score,
        box_x = excluded.box_x, box_y = excluded.box_y, box_w = excluded.box_w, box_h = excluded.box_h,
        ended_at = COALESCE(excluded.ended_at, ended_at),
        snapshot = excluded.snapshot,
        reason = excluded.reason, changed = excluded.changed`);
    this.#insertMessage = db.prepare(
      insertSql('outbox', ['created_at', 'topic', 'payload', 'qos', 'retain']),
    );
    this.#insertDetection = db.prepare(insertSql('detections', DETECTION_COLUMNS));
    this.#insertSample = db.prepare(
      insertSql('samples', SAMPLE_COLUMNS).replace('INSERT', 'INSERT OR REPLACE'),
    );
    this.#deletePublished = db.prepare('DELETE FROM outbox WHERE id <= ?');
    this.#deleteOldest = db.prepare(
      'DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT ?)',
    );
    this.#addDropped = db.prepare(`
      INSERT INTO counters (name, value) VALUES ('outbox_dropped', ?)
      ON CONFLICT (name) DO UPDATE SET value = value + excluded.value`);

    if (outboxFloor > this.#number("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")) {
      db.exec("DELETE FROM sqlite_sequence WHERE name = 'outbox'");
      db.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?)").run(outboxFloor);
    }
    this.#changed = this.#number('SELECT max(changed) FROM events');
    this.#outboxDepth = this.#number('SELECT count(*) FROM outbox');
    this.#lastOutboxId = this.#number("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'");
  }

  get lastOutboxId(): number {
    return this.#lastOutboxId;
  }

  get outboxDepth(): number {
    return this.#outboxDepth;
  }

  /** Messages ever dropped because the outbox was full. */
  get outboxDropped(): number {
    return this.#number("SELECT value FROM counters WHERE name = 'outbox_dropped'");
  }

  /**
   * Writes a batch in one transaction that is on the disk when this returns. Entries that can never be written are
   * left out.
   * @returns what was left out
   * @throws SqliteError and nothing is written, when the file or the disk refuses
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
    let depth = this.#outboxDepth;
    let last = this.#lastOutboxId;
    this.#db
      .transaction(() => {
        for (const [index, entry] of batch.events.entries()) {
          attempt(`event ${entry.change.event.id}`, index, () => {
            last = this.#savepoint(entry) ?? last;
            depth += entry.messages.length;
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
        if (batch.publishedUpTo > 0) depth -= this.#deletePublished.run(batch.publishedUpTo).changes;
        if (depth > this.#maxOutbox) {
          const { changes } = this.#deleteOldest.run(depth - this.#maxOutbox);
          this.#addDropped.run(changes);
          depth -= changes;
        }
      })
      .immediate();
    this.#outboxDepth = depth;
    this.#lastOutboxId = last;
    return rejected;
  }

  /** Writes an event and its messages, or neither; returns the id of the last message. */
  #savepoint({ change: { event }, messages, recordedAt }: EventEntry): number | undefined {
    let last: number | undefined;
    this.#db.transaction(() => {
      this.#upsertEvent.run({ ...fromEvent(event), changed: ++this.#changed });
      for (const { topic, payload, qos, retain } of messages) {
        const { lastInsertRowid } = this.#insertMessage.run({
          created_at: Math.round(recordedAt),
          topic,
          payload,
          qos,
          retain: Number(retain),
        });
        last = Number(lastInsertRowid);
      }
    })();
    return last;
  }

  /** Events that are not ended, oldest first. */
  leftOpen(): LeftOpen[] {
    const rows = this.#db.prepare<[], EventRow & { last_seen_at: number }>(`
      SELECT *, coalesce(
        (SELECT max(captured_at) FROM detections AS seen
          WHERE seen.captured_at >= events.started_at AND seen.camera = events.camera
            AND seen.zone IS events.zone AND seen.label = events.label),
        started_at
      ) AS last_seen_at
      FROM events WHERE ended_at IS NULL ORDER BY seq`);
    return rows.all().map((row) => ({ event: toEvent(row), lastSeenAt: row.last_seen_at }));
  }

  /** Waiting messages with a greater id, oldest first. */
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

/** Whether an error lies in the values (a NaN, a missing field) and would come again on every try. */
function isUnwritableValue(error: unknown): boolean {
  return (
    error instanceof TypeError ||
    error instanceof RangeError ||
    /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE)/.test(codeOf(error))
  );
}
