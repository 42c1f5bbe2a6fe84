/**
 * The rolling backup: a second file next to the database with what must not be lost with it: events, messages that wait
 * for the broker, totals, choices. Each update copies only what has changed since the last one, so it costs little. It
 * has a connection of its own, so that damage is attributed to the right file.
 */
import { existsSync, lstatSync } from 'node:fs';
import { basename } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Database } from 'better-sqlite3';
import { isSame, type Proof, removeFile } from '../runtime/own-files.ts';
import { isDamage } from './database.ts';
import { Copies, setAside } from './database-copies.ts';
import { insertSql } from './event-rows.ts';
import { migrate } from './migrations.ts';
import { openDatabase } from './sqlite.ts';

/** Rows copied in one transaction. */
const PAGE = 500;

/** Small tables that are copied completely when anything in them has changed. */
const SMALL_TABLES = ['choices', 'announced', 'copies', 'clocks'] as const;

/** Tables that are copied row by row: `mark` grows with every change, `id` shows which rows were deleted. */
const GROWING_TABLES = [
  { table: 'events', mark: 'changed', id: 'seq' },
  { table: 'outbox', mark: 'id', id: 'id' },
  { table: 'files', mark: 'seq', id: 'seq' },
] as const;

export function backupOf(file: string): string {
  return `${file}.backup`;
}

/**
 * Copies what has changed since the last backup. A file in the backup's place that is not the backup of this database
 * is kept under another name: it may be all that is left of another database.
 * @param db the open database
 * @param file its path
 * @param onLog gets a log message if a file was kept; without it, as for a database that may be damaged, such a file is
 * an error
 * @throws SqliteError if either file cannot be read or written; the backup is then unchanged, or deleted if it was
 * damaged itself
 */
export function backUp(db: Database, file: string, onLog?: (what: string) => void): void {
  const backup = openBackup(db, file, onLog);
  const path = backupOf(file);
  const identity = lstatSync(path);
  try {
    backup
      .transaction(() => {
        for (const { table, mark, id } of GROWING_TABLES) {
          copy(db, backup, table, mark, ahead(backup, table, mark));
          const first =
            db.prepare(`SELECT min(${id}) FROM ${table}`).pluck().get() ?? Number.MAX_SAFE_INTEGER;
          backup.prepare(`DELETE FROM ${table} WHERE ${id} < ?`).run(first);
        }
        copyCounters(db, backup);
        for (const table of SMALL_TABLES) replace(db, backup, table);
        claim(db, backup);
      })
      .immediate();
  } catch (error) {
    if (isDamage(error) && backup.pragma('quick_check(1)', { simple: true }) !== 'ok') {
      remove(path, isSame(identity));
    }
    throw error;
  } finally {
    backup.close();
  }
}

/**
 * Copies the choices only, as soon as they are made.
 * @param onLog see `backUp`
 * @throws SqliteError if either file cannot be read or written
 */
export function backUpChoices(db: Database, file: string, onLog?: (what: string) => void): void {
  const backup = openBackup(db, file, onLog);
  try {
    replace(db, backup, 'choices');
  } finally {
    backup.close();
  }
}

/**
 * Fills a fresh database from the backup, and with what is still readable in the damaged file.
 * @param db the fresh database
 * @param file its path
 * @param damaged where the damaged file is now
 * @returns the number of events in it afterwards
 */
export function restore(db: Database, file: string, damaged: string): number {
  for (const source of [backupOf(file), damaged]) {
    let from: Database | undefined;
    try {
      from = openDatabase(source, { fileMustExist: true });
      for (const table of [...SMALL_TABLES, 'installation']) replace(from, db, table);
      for (const { table, mark } of GROWING_TABLES) {
        if (!has(from, table)) continue;
        copy(from, db, table, mark, source === damaged ? ahead(db, table, mark) : 0);
      }
      copyCounters(from, db);
    } catch {
      // Keep what could be copied before the error.
    } finally {
      from?.close();
    }
  }
  db.exec('UPDATE installation SET is_backup = 0');
  return Number(db.prepare('SELECT count(*) FROM events').pluck().get());
}

/** Opens the backup of this database; any other file in its place is renamed. */
function openBackup(db: Database, file: string, onLog?: (what: string) => void): Database {
  const path = backupOf(file);
  const copies = new Copies(db, file);
  let backup = existsSync(path) ? openIfOf(db, path) : null;
  if (!backup && existsSync(path) && !remove(path, isDamaged(copies.proof(basename(path))))) {
    if (!onLog) throw new Error(`${path} is not the backup of this database`);
    onLog(`${path} is not the backup of this database; keeping it as ${setAside(path)}`);
  }
  const fresh = !backup;
  backup ??= openDatabase(path);
  try {
    backup.pragma('journal_mode = TRUNCATE');
    backup.pragma('synchronous = FULL');
    migrate(backup, path);
    if (fresh) {
      copies.add(basename(path));
      claim(db, backup);
    }
    return backup;
  } catch (error) {
    backup.close();
    throw error;
  }
}

/** Marks a file as the backup of this installation. */
function claim(db: Database, backup: Database): void {
  replace(db, backup, 'installation');
  backup.exec('UPDATE installation SET is_backup = 1');
}

/** Deletes a backup with its journal, which would damage the next backup; returns whether it was deleted. */
function remove(path: string, proof: Proof): boolean {
  if (removeFile(path, proof) !== 'removed') return false;
  removeFile(`${path}-journal`, () => true);
  return true;
}

/** A proof that also requires the database to be damaged. */
function isDamaged(proof: Proof): Proof {
  return (file) => {
    if (!proof(file)) return false;
    let db: Database | undefined;
    try {
      db = openDatabase(file.path);
      return db.pragma('quick_check(1)', { simple: true }) !== 'ok';
    } catch (error) {
      return isDamage(error);
    } finally {
      db?.close();
    }
  };
}

/** Opens the backup of this database; null if the file is another database, or a later state of this one. */
function openIfOf(db: Database, path: string): Database | null {
  let backup: Database | undefined;
  try {
    backup = openDatabase(path);
    if (isOf(backup, db)) return backup;
  } catch (error) {
    if (!isDamage(error)) {
      backup?.close();
      throw error;
    }
  }
  backup?.close();
  return null;
}

function isOf(backup: Database, db: Database): boolean {
  const identity = (of: Database) =>
    of.prepare<[], { id: string; is_backup: number }>('SELECT id, is_backup FROM installation').get();
  if (!has(backup, 'installation')) return false;
  const found = identity(backup);
  if (!found?.is_backup || found.id !== identity(db)?.id) return false;
  return ahead(backup, 'events', 'changed') <= ahead(db, 'events', 'changed');
}

function has(db: Database, table: string): boolean {
  return db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(table) !== undefined;
}

/** The highest mark in a table; 0 if it is empty. */
function ahead(db: Database, table: string, mark: string): number {
  return Number(db.prepare(`SELECT max(${mark}) FROM ${table}`).pluck().get() ?? 0);
}

/** Copies the rows after a mark, page by page; what was copied before an error stays. */
function copy(from: Database, to: Database, table: string, mark: string, after: number): void {
  // An earlier schema lacks some columns.
  const columnsOf = (db: Database) =>
    (db.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name);
  const known = columnsOf(from);
  const columns = columnsOf(to).filter((name) => known.includes(name));
  const select = from.prepare<[number], Record<string, number>>(
    `SELECT * FROM ${table} WHERE ${mark} > ? ORDER BY ${mark} LIMIT ${PAGE}`,
  );
  const insert = to.prepare(insertSql(table, columns).replace('INSERT', 'INSERT OR REPLACE'));
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

/** Makes a small table the same in both; writes only if it differs. */
function replace(from: Database, to: Database, table: string): void {
  if (!has(from, table)) return;
  const rows = from.prepare(`SELECT * FROM ${table}`).all() as Record<string, unknown>[];
  if (isDeepStrictEqual(rows, to.prepare(`SELECT * FROM ${table}`).all())) return;
  // A damaged file may have lost its identity.
  if (table === 'installation' && rows.length === 0) return;
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
