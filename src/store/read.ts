/** Reading the log from another process while the daemon writes it. */
import { statSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { LookoutError, messageOf } from '../errors.ts';
import type { Event } from '../types.ts';
import { readChoices } from './choices.ts';
import { BUSY_TIMEOUT_MS, codeOf, isDamage } from './connection.ts';
import { SCHEMA_VERSION, schemaVersion, tooNew } from './migrations.ts';
import { type EventRow, toEvent } from './rows.ts';
import { openDatabase } from './sqlite.ts';
import type { Choice } from './types.ts';

export interface EventFilter {
  /** Started at this time or later; wall-clock milliseconds. */
  since?: number | undefined;
  /** Any of these; empty: all. */
  labels?: readonly string[];
  cameras?: readonly string[];
}

export type Table = 'events' | 'detections' | 'samples';

/** Rows that are read at once: a long read would keep the daemon's write-ahead log from being emptied. */
const PAGE = 1000;

/** Time and order of each table's rows. */
const KEYS = {
  events: { time: 'started_at', id: 'seq' },
  detections: { time: 'captured_at', id: 'id' },
  samples: { time: 'at', id: 'at' },
} as const satisfies Record<Table, { time: string; id: string }>;

export class Reader {
  readonly #file: string;
  readonly #db: Database;
  readonly #inode: number;

  /**
   * @throws LookoutError STORE_MISSING, STORE_UNREADABLE, STORE_TOO_NEW, STORE_TOO_OLD, STORE_CORRUPT or
   * SYSTEM_UNSUPPORTED
   */
  constructor(file: string) {
    this.#file = file;
    let db: Database | undefined;
    try {
      this.#inode = statSync(file).ino;
      db = openDatabase(file, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
      const found = schemaVersion(db);
      if (found > SCHEMA_VERSION) throw tooNew(file, found, SCHEMA_VERSION);
      if (found < SCHEMA_VERSION) throw tooOld(file, found);
      this.#db = db;
    } catch (error) {
      db?.close();
      throw describe(file, error);
    }
  }

  close(): void {
    this.#db.close();
  }

  /** Whether the daemon has put another file in this one's place. */
  get replaced(): boolean {
    return statSync(this.#file, { throwIfNoEntry: false })?.ino !== this.#inode;
  }

  /** The newest events that match, oldest first. */
  events(filter: EventFilter, limit = Number.MAX_SAFE_INTEGER): Event[] {
    const { where, values } = conditions(filter);
    return this.#all<EventRow>(
      `SELECT * FROM (SELECT * FROM events WHERE ${where} ORDER BY started_at DESC, seq DESC LIMIT @limit)
       ORDER BY started_at, seq`,
      { ...values, limit },
    ).map(toEvent);
  }

  /** The newest events that match, oldest first, and a mark that `changes` counts from, both of one moment. */
  begin(filter: EventFilter, limit?: number): { events: Event[]; mark: number } {
    return this.#db.transaction(() => {
      const [{ mark } = { mark: 0 }] = this.#all<{ mark: number }>(
        'SELECT coalesce(max(changed), 0) AS mark FROM events',
        {},
      );
      return { events: this.events(filter, limit), mark };
    })();
  }

  /** Events that match and have changed after `mark`, in the order of their last change, and the new mark. */
  changes(mark: number, filter: EventFilter): { events: Event[]; mark: number } {
    const { where, values } = conditions(filter);
    const rows = this.#all<EventRow>(
      `SELECT * FROM events WHERE changed > @mark AND ${where} ORDER BY changed LIMIT ${PAGE}`,
      { ...values, mark },
    );
    return { events: rows.map(toEvent), mark: rows.at(-1)?.changed ?? mark };
  }

  /** What was chosen over MQTT. */
  choices(): Choice[] {
    try {
      return readChoices(this.#db);
    } catch (error) {
      throw describe(this.#file, error);
    }
  }

  /**
   * All rows of a table in the order of their time, with their own column names.
   * @param since first time, inclusive; wall-clock milliseconds
   * @param until last time, exclusive
   */
  *rows(table: Table, since: number, until: number): Generator<Record<string, unknown>> {
    const { time, id } = KEYS[table];
    let last: Record<string, unknown> = { [time]: since, [id]: Number.MIN_SAFE_INTEGER };
    for (;;) {
      const page = this.#all<Record<string, unknown>>(
        `SELECT * FROM ${table} WHERE (${time}, ${id}) > (@time, @id) AND ${time} < @until
         ORDER BY ${time}, ${id} LIMIT ${PAGE}`,
        { time: last[time], id: last[id], until },
      );
      yield* page;
      if (page.length < PAGE) return;
      last = page.at(-1)!;
    }
  }

  #all<T>(sql: string, values: Record<string, unknown>): T[] {
    try {
      return this.#db.prepare<[Record<string, unknown>], T>(sql).all(values);
    } catch (error) {
      throw describe(this.#file, error);
    }
  }
}

function conditions({ since, labels = [], cameras = [] }: EventFilter): {
  where: string;
  values: Record<string, unknown>;
} {
  const parts = ['started_at >= @since'];
  if (labels.length > 0) parts.push('label IN (SELECT value FROM json_each(@labels))');
  if (cameras.length > 0) parts.push('camera IN (SELECT value FROM json_each(@cameras))');
  return {
    where: parts.join(' AND '),
    values: {
      since: since ?? Number.MIN_SAFE_INTEGER,
      ...(labels.length > 0 && { labels: JSON.stringify(labels) }),
      ...(cameras.length > 0 && { cameras: JSON.stringify(cameras) }),
    },
  };
}

function tooOld(file: string, found: number): LookoutError {
  return new LookoutError(
    'STORE_TOO_OLD',
    `database ${file}: written by an older Lookout (schema ${found}; this program reads ${SCHEMA_VERSION})`,
    { hint: 'Start the daemon once: it brings the file up to date.' },
  );
}

/** What SQLite says when it cannot read, in words that help. */
function describe(file: string, error: unknown): unknown {
  if (error instanceof LookoutError) return error;
  if (codeOf(error) === 'ENOENT') {
    return new LookoutError('STORE_MISSING', `database ${file}: not there`, {
      cause: error,
      hint: 'Name the daemon’s configuration with --config, or its folder with --data-dir.',
    });
  }
  if (isDamage(error)) {
    return new LookoutError('STORE_CORRUPT', `database ${file}: damaged: ${messageOf(error)}`, {
      cause: error,
      hint: `The daemon sets it aside by itself; sqlite3 ${file} .recover often saves the rows.`,
    });
  }
  if (/^(SQLITE_(CANTOPEN|READONLY|PERM|AUTH|IOERR)|EACCES|EPERM)/.test(codeOf(error))) {
    return new LookoutError(
      'STORE_UNREADABLE',
      `database ${file}: cannot be read by this user: ${messageOf(error)} (${codeOf(error)})`,
      { cause: error, hint: 'Run the command as the daemon’s user: sudo -u lookout lookout events' },
    );
  }
  return error;
}
