/**
 * The rolling backup: a second file beside the database with what must not be lost with it: events, messages that
 * wait for the broker, totals, choices. It is brought up to date with what has changed since the last time, so it costs little;
 * and through a connection of its own, so that damage is blamed on the right file.
 */
import { rmSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { Database } from 'better-sqlite3';
import { isDamage } from './connection.ts';
import { migrate } from './migrations.ts';
import { insertSql } from './rows.ts';
import { openDatabase } from './sqlite.ts';

/** Rows that are copied in one go. */
const PAGE = 500;

/** Small tables that are copied as a whole when anything in them has changed. */
const WHOLE = ['choices', 'announced'] as const;

/** Tables that are copied: by which column rows are followed, and by which they are gone. */
const FOLLOWED = [
  { table: 'events', mark: 'changed', id: 'seq' },
  { table: 'outbox', mark: 'id', id: 'id' },
] as const;

export function backupOf(file: string): string {
  return `${file}.backup`;
}

/**
 * Copies what has changed since the last backup.
 * @param db the open database
 * @param file its path
 * @throws SqliteError when either file cannot be read or written; the backup is then as it was before, or gone if it
 * was damaged itself
 */
export function backUp(db: Database, file: string): void {
  const backup = openBackup(backupOf(file));
  try {
    backup
      .transaction(() => {
        for (const { table, mark, id } of FOLLOWED) {
          const ahead = (of: Database) =>
            Number(of.prepare(`SELECT max(${mark}) FROM ${table}`).pluck().get() ?? 0);
          // Somebody has put an older or a fresh file in the database's place.
          if (table === 'events' && ahead(backup) > ahead(db)) backup.exec(`DELETE FROM ${table}`);
          copy(db, backup, table, mark, ahead(backup));
          const first =
            db.prepare(`SELECT min(${id}) FROM ${table}`).pluck().get() ?? Number.MAX_SAFE_INTEGER;
          backup.prepare(`DELETE FROM ${table} WHERE ${id} < ?`).run(first);
        }
        copyCounters(db, backup);
        for (const table of WHOLE) replace(db, backup, table);
      })
      .immediate();
  } catch (error) {
    if (isDamage(error) && backup.pragma('quick_check(1)', { simple: true }) !== 'ok') remove(backupOf(file));
    throw error;
  } finally {
    backup.close();
  }
}

/**
 * Copies the choices alone, at the moment in which they are made.
 * @throws SqliteError when either file cannot be read or written
 */
export function backUpChoices(db: Database, file: string): void {
  const backup = openBackup(backupOf(file));
  try {
    replace(db, backup, 'choices');
  } finally {
    backup.close();
  }
}

/**
 * Fills a fresh database from the backup, and with what the damaged file still gives.
 * @param db the fresh database
 * @param file its path
 * @param damaged where the damaged file is now
 * @returns how many events it holds then
 */
export function restore(db: Database, file: string, damaged: string): number {
  for (const source of [backupOf(file), damaged]) {
    let from: Database | undefined;
    try {
      from = openDatabase(source, { fileMustExist: true });
      if (source !== damaged) migrate(from, source);
      for (const table of WHOLE) replace(from, db, table);
      for (const { table, mark } of FOLLOWED) {
        const known =
          source === damaged ? Number(db.prepare(`SELECT max(${mark}) FROM ${table}`).pluck().get() ?? 0) : 0;
        copy(from, db, table, mark, known);
      }
      copyCounters(from, db);
    } catch {
      // What was copied until then is what there is to be had.
    } finally {
      from?.close();
    }
  }
  return Number(db.prepare('SELECT count(*) FROM events').pluck().get());
}

/** Opens the backup; one that is damaged itself is made anew. */
function openBackup(path: string): Database {
  for (let attempt = 1; ; attempt++) {
    let backup: Database | undefined;
    try {
      backup = openDatabase(path, {});
      backup.pragma('journal_mode = TRUNCATE');
      backup.pragma('synchronous = FULL');
      migrate(backup, path);
      return backup;
    } catch (error) {
      backup?.close();
      if (!isDamage(error) || attempt === 2) throw error;
      remove(path);
    }
  }
}

function remove(path: string): void {
  for (const suffix of ['', '-journal']) rmSync(path + suffix, { force: true });
}

/** Copies the rows beyond a mark, page by page; what was copied before an error stays. */
function copy(from: Database, to: Database, table: string, mark: string, after: number): void {
  const columns = (to.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name);
  const select = from.prepare<[number], Record<string, number>>(
    `SELECT * FROM ${table} WHERE ${mark} > ? ORDER BY ${mark} LIMIT ${PAGE}`,
  );
  const insert = to.prepare(
    `INSERT OR REPLACE INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((name) => `@${name}`).join(', ')})`,
  );
  const insertAll = to.transaction((rows: Record<string, number>[]) => {
    for (const row of rows) insert.run(row);
  });
  for (;;) {
    const rows = select.all(after);
    insertAll(rows);
    if (rows.length < PAGE) return;
    after = rows.at(-1)![mark]!;
  }
}

/** Makes a small table the same in both, writing only if it is not. */
function replace(from: Database, to: Database, table: (typeof WHOLE)[number]): void {
  const rows = from.prepare(`SELECT * FROM ${table}`).all() as Record<string, unknown>[];
  if (isDeepStrictEqual(rows, to.prepare(`SELECT * FROM ${table}`).all())) return;
  to.transaction(() => {
    to.exec(`DELETE FROM ${table}`);
    for (const row of rows) to.prepare(insertSql(table, Object.keys(row))).run(row);
  })();
}

function copyCounters(from: Database, to: Database): void {
  const insert = to.prepare('INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)');
  for (const { name, value } of from.prepare('SELECT name, value FROM counters').all() as {
    name: string;
    value: number;
  }[]) {
    insert.run(name, value);
  }
}
