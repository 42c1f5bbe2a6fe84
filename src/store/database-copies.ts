/**
 * Copies of databases next to the database: damaged ones, and those of an earlier schema. They are listed with their
 * inode, so that only files that this installation put there are ever deleted.
 */
import { renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { freeName, lstatIfExists, type Proof, removeFile } from '../runtime/own-files.ts';

interface Row {
  name: string;
  inode: number;
}

export class Copies {
  readonly #db: Database;
  readonly #folder: string;

  /** @param file path of the database */
  constructor(db: Database, file: string) {
    this.#db = db;
    this.#folder = dirname(file);
  }

  /** Lists a file with this name, if it exists. */
  add(name: string): void {
    const found = lstatIfExists(join(this.#folder, name));
    if (!found?.isFile()) return;
    this.#db.prepare('INSERT OR REPLACE INTO copies (name, inode) VALUES (?, ?)').run(name, found.ino);
  }

  /** The proof for a file with this name. */
  proof(name: string): Proof {
    const row = this.#db.prepare<[string], Row>('SELECT * FROM copies WHERE name = ?').get(name);
    return ({ stats }) => row !== undefined && stats.ino === row.inode;
  }

  /** Deletes all but the newest copies whose names start with `prefix`, with the files that SQLite keeps next to each. */
  keepNewest(prefix: string, count: number): void {
    const listed = this.#db.prepare<[], string>('SELECT name FROM copies ORDER BY seq DESC').pluck().all();
    const names = listed.filter((name) => name.startsWith(prefix));
    const copies = names.filter((name) => !/-(wal|shm)$/.test(name));
    for (const copy of copies.slice(count)) {
      for (const name of [copy, `${copy}-wal`, `${copy}-shm`].filter((name) => names.includes(name))) {
        removeFile(join(this.#folder, name), this.proof(name));
        this.#db.prepare('DELETE FROM copies WHERE name = ?').run(name);
      }
    }
  }
}

/**
 * Renames a file that is in the way and is not proven to be ours, with its journal.
 * @returns its new name
 */
export function setAside(path: string): string {
  const aside = freeName(path, '.kept-');
  renameSync(path, aside);
  if (lstatIfExists(`${path}-journal`)) renameSync(`${path}-journal`, `${aside}-journal`);
  return aside;
}
