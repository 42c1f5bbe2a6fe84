/** Reads the log from another process while the daemon writes it. */
import { statSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { codeOf, LookoutError, messageOf } from '../errors.ts';
import type { DetectionEvent } from '../types.ts';
import { readChoices } from './choice-rows.ts';
import { BUSY_TIMEOUT_MS, isDamage } from './database.ts';
import { type EventRow, toEvent } from './event-rows.ts';
import { SCHEMA_VERSION, schemaVersion, tooNew } from './migrations.ts';
import { openDatabase } from './sqlite.ts';
import type { Choice } from './store-types.ts';

export interface EventFilter {
  /** Started at this time or later; wall-clock milliseconds. */
  since?: number | undefined;
  /** Any of these; empty: all. */
  labels?: readonly string[];
  cameras?: readonly string[];
}

export type Table = 'events' | 'detections' | 'samples';

/** Rows per read: a long read would prevent checkpoints of the daemon's write-ahead log. */
const PAGE = 20;

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
      throw unreadable(file, error);
    }
  }

  close(): void {
    this.#db.close();
  }

  /** Whether the daemon has replaced the file. */
  get replaced(): boolean {
    return statSync(this.#file, { throwIfNoEntry: false })?.ino !== this.#inode;
  }

  /** The start for `changes`: covers all changes until now. */
  get mark(): number {
    const [{ mark } = { mark: 0 }] = this.#all<{ mark: number }>(
      'SELECT coalesce(max(changed), 0) AS mark FROM events',
      {},
    );
    return mark;
  }

  /**
   * The newest events that match, oldest first, read lazily.
   * @param upTo a mark: events that changed after it are left out
   */
  *events(
    filter: EventFilter,
    { limit, upTo = Number.MAX_SAFE_INTEGER }: { limit?: number | undefined; upTo?: number } = {},
  ): Generator<DetectionEvent> {
    const { where, values } = conditions(filter);
    const wanted = { where: `${where} AND changed <= @upTo`, values: { ...values, upTo } };
    const [oldest] =
      limit === undefined
        ? []
        : this.#all<EventRow>(
            `SELECT started_at, seq FROM events WHERE ${wanted.where}
             ORDER BY started_at DESC, seq DESC LIMIT 1 OFFSET @skip`,
            { ...wanted.values, skip: limit - 1 },
          );
    const from = oldest ? { time: oldest.started_at, id: oldest.seq } : BEGINNING;
    for (const row of this.#scan<EventRow>('events', wanted, from)) yield toEvent(row);
  }

  /** Events that match and changed after `mark`, in the order of their last change, and the new mark. */
  changes(mark: number, filter: EventFilter): { events: DetectionEvent[]; mark: number } {
    const { where, values } = conditions(filter);
    const rows = this.#all<EventRow>(
      `SELECT * FROM events WHERE changed > @mark AND ${where} ORDER BY changed LIMIT ${PAGE}`,
      { ...values, mark },
    );
    return { events: rows.map(toEvent), mark: rows.at(-1)?.changed ?? mark };
  }

  /** Runtime settings that were changed over MQTT. */
  choices(): Choice[] {
    try {
      return readChoices(this.#db);
    } catch (error) {
      throw unreadable(this.#file, error);
    }
  }

  /**
   * All rows of a table ordered by time, with their column names.
   * @param since first time, inclusive; wall-clock milliseconds
   * @param until last time, exclusive
   */
  rows(table: Table, since: number, until: number): Generator<Record<string, unknown>> {
    const { time } = KEYS[table];
    const wanted = { where: `${time} < @until`, values: { until } };
    return this.#scan(table, wanted, { ...BEGINNING, time: since });
  }

  /** Rows ordered by time, a page at a time. */
  *#scan<T extends object>(table: Table, { where, values }: Conditions, from: Place): Generator<T> {
    const { time, id } = KEYS[table];
    const page = (comparison: '>=' | '>') =>
      this.#prepare<T>(
        `SELECT * FROM ${table} WHERE (${time}, ${id}) ${comparison} (@time, @id) AND ${where}
         ORDER BY ${time}, ${id} LIMIT ${PAGE}`,
      );
    let rows = page('>=')({ ...values, ...from });
    const next = page('>');
    while (rows.length > 0) {
      yield* rows;
      const last = rows.at(-1) as Record<string, number>;
      rows = next({ ...values, time: last[time]!, id: last[id]! });
    }
  }

  #all<T>(sql: string, values: Record<string, unknown>): T[] {
    return this.#prepare<T>(sql)(values);
  }

  #prepare<T>(sql: string): (values: Record<string, unknown>) => T[] {
    try {
      const statement = this.#db.prepare<[Record<string, unknown>], T>(sql);
      return (values) => {
        try {
          return statement.all(values);
        } catch (error) {
          throw unreadable(this.#file, error);
        }
      };
    } catch (error) {
      throw unreadable(this.#file, error);
    }
  }
}

/** Part of a query, with the values of its parameters. */
interface Conditions {
  where: string;
  values: Record<string, unknown>;
}

/** The position of a row in the order of its table. */
interface Place {
  time: number;
  id: number;
}

const BEGINNING: Place = { time: Number.MIN_SAFE_INTEGER, id: Number.MIN_SAFE_INTEGER };

function conditions({ since, labels = [], cameras = [] }: EventFilter): Conditions {
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
    { hint: 'Start the daemon once: it migrates the file.' },
  );
}

/** Explains an error of SQLite while reading. */
export function unreadable(file: string, error: unknown): unknown {
  if (error instanceof LookoutError) return error;
  if (codeOf(error) === 'ENOENT') {
    return new LookoutError('STORE_MISSING', `database ${file}: file not found`, {
      cause: error,
      hint: 'Pass the daemon’s configuration with --config, or its data folder with --data-dir.',
    });
  }
  if (isDamage(error)) {
    return new LookoutError('STORE_CORRUPT', `database ${file}: damaged: ${messageOf(error)}`, {
      cause: error,
      hint: `The daemon moves it aside automatically; sqlite3 ${file} .recover often recovers the rows.`,
    });
  }
  if (/^(SQLITE_(CANTOPEN|READONLY|PERM|AUTH|IOERR)|EACCES|EPERM)/.test(codeOf(error))) {
    return new LookoutError(
      'STORE_UNREADABLE',
      `database ${file}: this user cannot read it: ${messageOf(error)} (${codeOf(error)})`,
      { cause: error, hint: 'Run the command as the daemon’s user: sudo -u lookout lookout events' },
    );
  }
  return error;
}
