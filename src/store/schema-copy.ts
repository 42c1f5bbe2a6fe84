/** Keeps a copy of the database before a migration. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Database } from 'better-sqlite3';
import { createEmpty } from '../runtime/own-files.ts';
import { setAside } from './database-copies.ts';

/** The path of the copy with this schema. */
export function schemaCopy(file: string, schema: number): string {
  return `${file}.schema-${schema}`;
}

/**
 * Copies the database atomically. An existing file with the name of the copy is renamed and kept.
 * @returns the path of the copy
 * @throws SqliteError or a system error, for example on a full disk; no file is left behind
 */
export function copyBeforeMigration(db: Database, file: string, schema: number): string {
  const kept = schemaCopy(file, schema);
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

/** How to continue with a database that is too new for a version that supports `schema`. */
export function downgradeHint(file: string, schema: number): string {
  const kept = schemaCopy(file, schema);
  return existsSync(kept)
    ? `Install the newer Lookout again, or go back to the database from before the upgrade: mv ${file} ${file}.newer && mv ${kept} ${file}`
    : 'Install the newer Lookout again, or move the file aside to start with an empty database.';
}

function sync(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
