/** Opening the database for writing: the only place that knows pragmas, locks and what to do with a damaged file. */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Database } from 'better-sqlite3';
import { codeOf, LookoutError, messageOf } from '../errors.ts';
import { freeName, isProven } from '../runtime/own-files.ts';
import { Copies } from './database-copies.ts';
import { findDiskFault, storeCode } from './disk-fault.ts';
import { migrate, SCHEMA_VERSION, schemaVersion } from './migrations.ts';
import { keepBefore } from './schema-copy.ts';
import { openDatabase } from './sqlite.ts';

/** How long a statement waits for another program that holds a lock, and how long opening waits before it says so, in ms. */
export const BUSY_TIMEOUT_MS = 5000;
const BUSY_OPEN_TIMEOUT_MS = 1000;

/** Damaged files that are kept; older ones make room. */
const QUARANTINED_FILES = 3;

/**
 * Opens or creates the database, brings it up to date and checks that it can be written. One that is brought up to
 * date is kept as it was, too.
 * @param say told when the database was brought up to date
 * @throws LookoutError STORE_TOO_NEW, STORE_BUSY, STORE_FULL, STORE_UNWRITABLE or SYSTEM_UNSUPPORTED; SqliteError if the file is damaged
 * (see `isDamage`)
 */
export function openForWriting(file: string, say: (what: string) => void = () => {}): Database {
  let db: Database | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true });
    db = openDatabase(file, { timeout: BUSY_OPEN_TIMEOUT_MS });
    mustBeOurs(db, file);
    // First of all: it is fixed once the file has content.
    db.pragma('auto_vacuum = INCREMENTAL');
    db.pragma('journal_mode = WAL');
    // In WAL mode only FULL makes a commit survive a power cut.
    db.pragma('synchronous = FULL');
    db.pragma('journal_size_limit = 4194304');
    db.pragma('foreign_keys = ON');
    db.pragma('cache_size = -2048');
    // A file without write permission opens, and refuses the first transaction.
    db.transaction(() => {}).immediate();
    bringUpToDate(db, file, say);
    db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof LookoutError || isDamage(error)) throw error;
    if (/^SQLITE_(BUSY|LOCKED)/.test(codeOf(error))) {
      throw new LookoutError('STORE_BUSY', `database ${file}: another program has locked it`, {
        cause: error,
        hint: `End the other program, such as an open sqlite3 or a backup; \`fuser ${file}\` names it.`,
      });
    }
    throw unwritable('database', file, error);
  }
}

/** A database of another program is left as it is. */
function mustBeOurs(db: Database, file: string): void {
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all();
  if (tables.length === 0 || tables.includes('outbox')) return;
  throw new LookoutError('STORE_UNWRITABLE', `database ${file}: it belongs to another program`, {
    hint: 'Name a file of its own under store.file.',
  });
}

function bringUpToDate(db: Database, file: string, say: (what: string) => void): void {
  const found = schemaVersion(db);
  const older = found > 0 && found < SCHEMA_VERSION;
  const kept = older ? keepBefore(db, file, found) : '';
  migrate(db, file);
  if (!older) return;
  say(`database brought from schema ${found} to ${SCHEMA_VERSION}; as it was, it is kept as ${kept}`);
  const copies = new Copies(db, file);
  copies.add(basename(kept));
  copies.keepNewest(`${basename(file)}.schema-`, 1);
}

/** What SQLite says when the kernel did not let it, whatever the reason. */
const VAGUE = /^SQLITE_(CANTOPEN|READONLY|PERM|AUTH|IOERR)/;
/** The disk or its permissions are at fault, not the content. */
const OF_THE_DISK = new RegExp(`${VAGUE.source}|^SQLITE_FULL`);

const HINTS: Record<string, string> = {
  EROFS:
    'The system sets a card that fails read-only: see `dmesg`. The service may write to its own folders only, see docs/service.md. It tries again by itself.',
};

/** A file or folder of the store that cannot be written, as an error that says why. */
export function unwritable(what: string, path: string, cause: unknown): LookoutError {
  const fault = VAGUE.test(codeOf(cause)) ? findDiskFault(path) : null;
  const code = fault?.code ?? codeOf(cause);
  const where = fault && fault.path !== path ? `${fault.path}: ` : '';
  const reason = `${where}${fault?.says ?? messageOf(cause)} (${code})`;
  if (storeCode(code) === 'STORE_FULL') {
    return new LookoutError('STORE_FULL', `${what} ${path}: no room, or a fault of the disk: ${reason}`, {
      cause,
      hint: HINTS[code] ?? 'Make room. The service tries again by itself.',
    });
  }
  return new LookoutError('STORE_UNWRITABLE', `${what} ${path}: cannot be written: ${reason}`, {
    cause,
    hint: 'Check that the folder exists, belongs to the user that runs Lookout, and has room.',
  });
}

/** A fault of the disk while the database was used, as an error that says why; any other error as it is. */
export function explained(file: string, error: unknown): unknown {
  return OF_THE_DISK.test(codeOf(error)) ? unwritable('database', file, error) : error;
}

/** Whether the content of the file is broken, as opposed to a disk that is full or cannot be written. */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error));
}

/**
 * Moves a damaged database aside, with its write-ahead log beside it so that `.recover` finds both.
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
 * Lists a damaged database, once there is another one to list it in; older ones make room. What does not start as a
 * database does was none of ours, and stays.
 */
export function listQuarantined(db: Database, file: string, aside: string): void {
  const copies = new Copies(db, file);
  if (isProven(aside, ({ head }) => head(SQLITE.length).toString('latin1') === SQLITE)) {
    for (const suffix of ['', '-wal', '-shm']) copies.add(basename(aside) + suffix);
  }
  copies.keepNewest(`${basename(file)}.corrupt-`, QUARANTINED_FILES);
}

/** How the header of a database starts (https://sqlite.org/fileformat.html). */
const SQLITE = 'SQLite format 3\0';
