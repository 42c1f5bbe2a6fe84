/** Opens the database for writing: the only place for pragmas, busy timeouts and damaged files. */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Database } from 'better-sqlite3';
import { codeOf, LookoutError, messageOf } from '../errors.ts';
import { freeName, isProven } from '../runtime/own-files.ts';
import { Copies } from './database-copies.ts';
import { findDiskFault, storeCode } from './disk-fault.ts';
import { migrate, SCHEMA_VERSION, schemaVersion } from './migrations.ts';
import { copyBeforeMigration } from './schema-copy.ts';
import { openDatabase } from './sqlite.ts';

/** How long a statement waits for another program that holds a lock, and how long opening waits before it fails, in ms. */
export const BUSY_TIMEOUT_MS = 5000;
const BUSY_OPEN_TIMEOUT_MS = 1000;

/** Damaged files that are kept; older ones are deleted. */
const QUARANTINED_FILES = 3;

/**
 * Opens or creates the database, migrates it to the current schema and checks that it can be written. Before a
 * migration a copy of the file is kept.
 * @param onLog gets a log message if the database was migrated
 * @throws LookoutError STORE_TOO_NEW, STORE_BUSY, STORE_FULL, STORE_UNWRITABLE or SYSTEM_UNSUPPORTED; SqliteError if the
 * file is damaged (see `isDamage`)
 */
export function openForWriting(file: string, onLog: (what: string) => void = () => {}): Database {
  let db: Database | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true });
    db = openDatabase(file, { timeout: BUSY_OPEN_TIMEOUT_MS });
    mustBeOurs(db, file);
    // First of all, as it cannot change once the file has content.
    db.pragma('auto_vacuum = INCREMENTAL');
    db.pragma('journal_mode = WAL');
    // In WAL mode only FULL makes a commit survive a power cut.
    db.pragma('synchronous = FULL');
    db.pragma('journal_size_limit = 4194304');
    db.pragma('foreign_keys = ON');
    db.pragma('cache_size = -2048');
    // A file without write permission opens, but fails in the first transaction.
    db.transaction(() => {}).immediate();
    bringUpToDate(db, file, onLog);
    db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof LookoutError || isDamage(error)) throw error;
    if (/^SQLITE_(BUSY|LOCKED)/.test(codeOf(error))) {
      throw new LookoutError('STORE_BUSY', `database ${file}: another program has locked it`, {
        cause: error,
        hint: `Stop the other program, for example sqlite3 or a backup; \`fuser ${file}\` shows its process id.`,
      });
    }
    throw unwritable('database', file, error);
  }
}

/** Refuses the database of another program. */
function mustBeOurs(db: Database, file: string): void {
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all();
  if (tables.length === 0 || tables.includes('outbox')) return;
  throw new LookoutError('STORE_UNWRITABLE', `database ${file}: it belongs to another program`, {
    hint: 'Set store.file to a file of its own.',
  });
}

function bringUpToDate(db: Database, file: string, onLog: (what: string) => void): void {
  const found = schemaVersion(db);
  const older = found > 0 && found < SCHEMA_VERSION;
  const copy = older ? copyBeforeMigration(db, file, found) : '';
  migrate(db, file);
  if (!older) return;
  onLog(`database migrated from schema ${found} to ${SCHEMA_VERSION}; the previous file is kept as ${copy}`);
  const copies = new Copies(db, file);
  copies.add(basename(copy));
  copies.keepNewest(`${basename(file)}.schema-`, 1);
}

/** Codes of SQLite for any refusal of the kernel. */
const VAGUE = /^SQLITE_(CANTOPEN|READONLY|PERM|AUTH|IOERR)/;
/** The disk or its permissions are at fault, not the content. */
const OF_THE_DISK = new RegExp(`${VAGUE.source}|^SQLITE_FULL`);

const HINTS: Record<string, string> = {
  EROFS:
    'The kernel makes the file system of a failing card read-only: check `dmesg`. The service can write to its own folders only, see docs/service.md. It retries automatically.',
};

/** Explains why a file or folder of the store cannot be written. */
export function unwritable(what: string, path: string, cause: unknown): LookoutError {
  const fault = VAGUE.test(codeOf(cause)) ? findDiskFault(path) : null;
  const code = fault?.code ?? codeOf(cause);
  const where = fault && fault.path !== path ? `${fault.path}: ` : '';
  const reason = `${where}${fault?.reason ?? messageOf(cause)} (${code})`;
  if (storeCode(code) === 'STORE_FULL') {
    return new LookoutError(
      'STORE_FULL',
      `${what} ${path}: cannot write, the disk is full or faulty: ${reason}`,
      {
        cause,
        hint: HINTS[code] ?? 'Free some disk space. The service retries automatically.',
      },
    );
  }
  return new LookoutError('STORE_UNWRITABLE', `${what} ${path}: cannot write: ${reason}`, {
    cause,
    hint: 'Check that the folder exists, belongs to the user that runs Lookout, and has free space.',
  });
}

/** Explains a fault of the disk while the database was in use; returns any other error unchanged. */
export function explained(file: string, error: unknown): unknown {
  return OF_THE_DISK.test(codeOf(error)) ? unwritable('database', file, error) : error;
}

/** Whether the content of the file is damaged, as opposed to a disk that is full or read-only. */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error));
}

/**
 * Renames a damaged database together with its write-ahead log, so that `.recover` finds both.
 * @param now wall-clock milliseconds, for the name
 * @returns the new name
 */
export function quarantine(file: string, now: number): string {
  const time = new Date(now)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '');
  const wanted = `${file}.corrupt-${time}`;
  const aside = existsSync(wanted) ? freeName(wanted, '-') : wanted;
  renameSync(file, aside);
  for (const suffix of ['-wal', '-shm']) {
    try {
      renameSync(file + suffix, aside + suffix);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }
  return aside;
}

/**
 * Lists a damaged database in the new one, and deletes the oldest listed ones. A file that does not start like a
 * database is not ours, is not listed and stays.
 */
export function listQuarantined(db: Database, file: string, aside: string): void {
  const copies = new Copies(db, file);
  if (isProven(aside, ({ head }) => head(SQLITE.length).toString('latin1') === SQLITE)) {
    for (const suffix of ['', '-wal', '-shm']) copies.add(basename(aside) + suffix);
  }
  copies.keepNewest(`${basename(file)}.corrupt-`, QUARANTINED_FILES);
}

/** The start of a database file (https://sqlite.org/fileformat.html). */
const SQLITE = 'SQLite format 3\0';
