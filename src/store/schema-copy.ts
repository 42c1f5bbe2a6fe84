/** Before a newer program changes the shape of a database, the file as it was is kept beside it. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Database } from 'better-sqlite3';
import { createEmpty } from '../runtime/own-files.ts';
import { setAside } from './database-copies.ts';

/** Where the database is kept as it was with a schema. */
export function keptFile(file: string, schema: number): string {
  return `${file}.schema-${schema}`;
}

/**
 * Copies the database as it is now, so that the copy is there whole or not at all. A file that has its name is kept
 * under another one.
 * @returns where the copy is
 * @throws SqliteError or a system error, such as that of a full disk; nothing is left behind then
 */
export function keepBefore(db: Database, file: string, schema: number): string {
  const kept = keptFile(file, schema);
  const unfinished = createEmpty(kept);
  try {
    db.prepare('VACUUM INTO ?').run(unfinished.path);
    sync(unfinished.path);
    if (existsSync(kept)) setAside(kept);
    renameSync(unfinished.path, kept);
    sync(dirname(file));
  } catch (error) {
    unfinished.remove();
    throw error;
  }
  return kept;
}

/** What to do with a database that is too new for a program that knows `schema`. */
export function wayBack(file: string, schema: number): string {
  const kept = keptFile(file, schema);
  return existsSync(kept)
    ? `Install the newer Lookout again. Or go back to what was there before it came: mv ${file} ${file}.newer && mv ${kept} ${file}`
    : 'Install the newer Lookout again, or move the file aside to start a fresh one.';
}

function sync(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
