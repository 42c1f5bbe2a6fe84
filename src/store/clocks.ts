/**
 * Corrects times that were recorded under a wrong setting of the clock, once the right time is known.
 *
 * For this boot every setting is known, and so is the difference between two of them: times are shifted by it and are
 * exact afterwards. For an earlier boot only the order is known: rows in the future, or from before the clock was set,
 * are shifted together to just before the next boot, because they cannot be later than that. They stay marked (2).
 */
import type { Database } from 'better-sqlite3';
import { CLOCK_UNSET, type ClockSetting, type KnownTime } from '../runtime/time-judge.ts';

/** Rows that are changed in one transaction. */
const BATCH = 500;

/** Smaller differences are ignored, as the two clocks are not read at the same moment. */
const SAME_MS = 1000;

/** Times may be recorded a little before or after they were read, ms. */
const SLACK_MS = 600_000;

interface Table {
  name: string;
  key: string;
  /** When the row began, and when it ended. */
  at: string;
  end: string;
  shift: string;
}

const simple = (name: string, key: string, at: string): Table => ({
  name,
  key,
  at,
  end: at,
  shift: `${at} = ${at} + @shift`,
});

const TABLES: readonly Table[] = [
  {
    name: 'events',
    key: 'seq',
    at: 'started_at',
    end: 'coalesce(ended_at, started_at)',
    shift: 'started_at = started_at + @shift, ended_at = ended_at + @shift, changed = @changed',
  },
  simple('detections', 'id', 'captured_at'),
  simple('samples', 'at', 'at'),
  simple('outbox', 'id', 'created_at'),
  simple('files', 'path', 'at'),
];

/** Records settings of the clock, which rows refer to. */
export function noteClocks(db: Database, settings: readonly ClockSetting[]): void {
  const insert = db.prepare(
    'INSERT OR IGNORE INTO clocks (id, boot, ahead, began) VALUES (@id, @boot, @ahead, @began)',
  );
  for (const setting of settings) insert.run({ ...setting, began: Math.round(setting.began) });
}

/** What the database shows about the time before this run. */
export function timeHistory(db: Database): { knownAt: number | null; last: ClockSetting | null } {
  const number = (sql: string) => (db.prepare(sql).pluck().get() as number | null | undefined) ?? null;
  const newest = TABLES.filter(({ name }) => name !== 'files').map(({ name, at }) =>
    number(`SELECT ${at} FROM ${name} WHERE time_uncertain = 0 ORDER BY ${at} DESC LIMIT 1`),
  );
  const found = newest.filter((time) => time !== null);
  return {
    knownAt: number('SELECT known_at FROM installation') ?? (found.length > 0 ? Math.max(...found) : null),
    last: db.prepare<[], ClockSetting>('SELECT * FROM clocks ORDER BY id DESC LIMIT 1').get() ?? null,
  };
}

/** Keeps a trusted time for the next run. */
export function keepKnownTime(db: Database, time: number): void {
  db.prepare('UPDATE installation SET known_at = ?').run(Math.round(time));
}

/**
 * Corrects what can be corrected.
 * @param nextChange the next number for `events.changed`
 * @param yieldToEventLoop lets other work run between two transactions; rejects to cancel
 * @returns the number of corrected rows
 */
export async function correctTimes(
  db: Database,
  known: KnownTime,
  nextChange: () => number,
  yieldToEventLoop: () => Promise<void>,
): Promise<number> {
  const shifter = new Shifter(db, nextChange, yieldToEventLoop);
  const { setting: right, now, uptime, tolerance } = known;
  const ofThisBoot = db
    .prepare<[string], ClockSetting>('SELECT * FROM clocks WHERE boot = ?')
    .all(right.boot);
  const uncertain = new Set(
    db
      .prepare(TABLES.map(({ name }) => `SELECT clock FROM ${name} WHERE time_uncertain = 1`).join(' UNION '))
      .pluck()
      .all(),
  );
  for (const { id, ahead, began } of ofThisBoot) {
    const difference = right.ahead - ahead;
    if (!uncertain.has(id) && Math.abs(difference) <= tolerance) continue;
    const shift = Math.abs(difference) <= SAME_MS ? 0 : difference;
    const clock = shift === 0 ? id : right.id;
    await shifter.shift(() => `clock = ${id} AND time_uncertain = 1`, { shift, uncertain: 0, clock });
    if (Math.abs(difference) <= tolerance) continue;
    // It was trusted and was wrong: its rows lie between its beginning and what it would show now.
    const [first, last] = [Math.round(began + ahead - SLACK_MS), Math.round(uptime + ahead + SLACK_MS)];
    const during = ({ at }: Table) =>
      `clock = ${id} AND time_uncertain = 0 AND ${at} BETWEEN ${first} AND ${last}`;
    await shifter.shift(during, { shift, uncertain: 0, clock });
  }
  await placeOthers(db, shifter, { now: now + tolerance, boot: now - uptime }, right.boot);
  // Keep the last setting, so that numbering continues.
  noteClocks(db, [right]);
  db.prepare('DELETE FROM clocks WHERE boot <> ?').run(right.boot);
  return shifter.count;
}

/** Moves what was recorded in earlier boots, the latest boot first, each before the next. Rows are moved once only. */
async function placeOthers(
  db: Database,
  shifter: Shifter,
  latest: { now: number; boot: number },
  boot: string,
): Promise<void> {
  const future = Math.round(latest.now);
  const isOfOthers = 'NOT EXISTS (SELECT 1 FROM clocks WHERE id = clock AND boot = @boot)';
  for (const { name, at } of TABLES) {
    // Even if the time was trusted: no row can be in the future.
    const mark = `UPDATE ${name} SET time_uncertain = 1
      WHERE ${at} > ${future} AND time_uncertain <> 1 AND ${isOfOthers}`;
    db.prepare(mark).run({ boot });
  }
  const clocks = TABLES.map(
    ({ name, at }) =>
      `SELECT clock FROM ${name}
       WHERE time_uncertain = 1 AND ${isOfOthers} AND (clock IN (SELECT id FROM clocks) OR ${at} > ${future})`,
  );
  const blocks = db
    .prepare<[{ boot: string }], number | null>(
      `SELECT DISTINCT clock FROM (${clocks.join(' UNION ALL ')}) ORDER BY clock DESC NULLS LAST`,
    )
    .pluck()
    .all({ boot });
  let limit = Math.round(latest.boot);
  for (const clock of blocks) {
    const which = ({ at }: Table) =>
      `time_uncertain = 1 AND ${clock === null ? `clock IS NULL AND ${at} > ${future}` : `clock = ${clock}`}`;
    const spans = TABLES.map(
      (table) =>
        `SELECT min(${table.at}) AS first, max(${table.end}) AS last FROM ${table.name} WHERE ${which(table)}`,
    );
    const { first, last } = db
      .prepare<[], { first: number; last: number }>(
        `SELECT min(first) AS first, max(last) AS last FROM (${spans.join(' UNION ALL ')})`,
      )
      .get()!;
    const isPossible = first >= CLOCK_UNSET && last <= limit;
    const shift = isPossible ? 0 : limit - last;
    // A possible time may be right or too early: it counts as old as what was recorded next (retention.ts).
    if (!isPossible) await shifter.shift(which, { shift, uncertain: 2, clock: null });
    limit = first + shift;
  }
}

interface Shift {
  shift: number;
  uncertain: 0 | 1 | 2;
  clock: number | null;
}

class Shifter {
  count = 0;
  readonly #db: Database;
  readonly #nextChange: () => number;
  readonly #yieldToEventLoop: () => Promise<void>;

  constructor(db: Database, nextChange: () => number, yieldToEventLoop: () => Promise<void>) {
    this.#db = db;
    this.#nextChange = nextChange;
    this.#yieldToEventLoop = yieldToEventLoop;
  }

  /** Shifts the rows of all tables that match a condition; afterwards none of them must match. */
  async shift(which: (table: Table) => string, { shift, uncertain, clock }: Shift): Promise<void> {
    for (const table of TABLES) {
      const { name, key } = table;
      const select = this.#db
        .prepare<[], number | string>(`SELECT ${key} FROM ${name} WHERE ${which(table)} LIMIT ${BATCH}`)
        .pluck();
      const update = this.#db.prepare(
        `UPDATE OR IGNORE ${name} SET ${table.shift}, time_uncertain = @uncertain, clock = @clock WHERE ${key} = @key`,
      );
      const step = this.#db.transaction((keys: (number | string)[]) => {
        for (const found of keys) {
          this.#update(update, { key: found, shift, uncertain, clock }, name);
          if (name === 'outbox') this.#correctMessage(found, shift, uncertain);
        }
      });
      for (;;) {
        const keys = select.all();
        if (keys.length === 0) break;
        step.immediate(keys);
        this.count += keys.length;
        await this.#yieldToEventLoop();
      }
    }
  }

  /** Corrects the times in a message that waits for the broker. */
  #correctMessage(id: number | string, shift: number, uncertain: number): void {
    const payload = String(this.#db.prepare('SELECT payload FROM outbox WHERE id = ?').pluck().get(id));
    const corrected = shiftPayload(payload, shift, uncertain !== 0);
    if (corrected !== payload)
      this.#db.prepare('UPDATE outbox SET payload = ? WHERE id = ?').run(corrected, id);
  }

  #update(
    update: ReturnType<Database['prepare']>,
    values: Shift & { key: number | string },
    table: string,
  ): void {
    const changed = table === 'events' ? { changed: this.#nextChange() } : {};
    // The time is the key of a sample: if it is taken, use the next millisecond.
    for (let extra = 0; ; extra++) {
      const done = update.run({ ...values, ...changed, shift: Math.round(values.shift) + extra });
      if (done.changes > 0) return;
    }
  }
}

/** An event's message with its times shifted; any other message unchanged. */
export function shiftPayload(payload: string, shift: number, uncertain: boolean): string {
  let message: Record<string, unknown>;
  try {
    message = JSON.parse(payload) as Record<string, unknown>;
  } catch {
    return payload;
  }
  if (typeof message !== 'object' || message === null || typeof message.started_at !== 'string')
    return payload;
  const move = (time: unknown) =>
    typeof time === 'string' ? new Date(Date.parse(time) + Math.round(shift)).toISOString() : time;
  return JSON.stringify({
    ...message,
    started_at: move(message.started_at),
    ended_at: move(message.ended_at),
    time_uncertain: uncertain,
  });
}
