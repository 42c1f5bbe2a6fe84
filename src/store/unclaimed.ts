/**
 * Unclaimed files: files in the places of snapshots and database copies that are not on the list. Lookout never deletes
 * them automatically. A user can delete those that are recognisably from a Lookout.
 */
import { existsSync } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { lstatIfExists, type Removal, removeFile } from '../runtime/own-files.ts';
import { unreadable } from './log-reader.ts';
import { schemaVersion } from './migrations.ts';
import { HEAD_BYTES, readMark } from './snapshot-mark.ts';
import { openDatabase } from './sqlite.ts';

/** The owner of an unclaimed file. */
export type Owner =
  /** The id of an installation, from the mark. */
  | { kind: 'installation'; id: string }
  /** It has the name of a snapshot but no mark: from an early version, or from another program. */
  | { kind: 'unmarked' }
  /** A copy of the database. */
  | { kind: 'copy' }
  /** Any other file. */
  | { kind: 'other' };

export interface UnclaimedFile {
  path: string;
  bytes: number;
  owner: Owner;
}

const DAY = /^\d{4}-\d\d-\d\d$/;
/** An event's id is a UUID of version 7. */
const SNAPSHOT =
  /^(?:[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|latest(?:-[0-9a-f]{8})?)\.jpg$/;
const DRAFT = /^(.+\.jpg)\.([0-9a-f]{32})\.draft$/;
const COPY =
  /\.(?:corrupt-\d{8}T\d{6}Z(?:-\d+)?|schema-\d+)(?:\.kept-\d+)?(?:-wal|-shm|-journal)?$|\.backup\.kept-\d+(?:-journal)?$/;

/** The file list of a database, read while a daemon may be writing. Empty without a database. */
export class Claims {
  /** The id of the installation; null without a database, or with one that has no id. */
  readonly installation: string | null;
  readonly #db: Database | null;

  /** @throws LookoutError STORE_UNREADABLE or STORE_CORRUPT if the database exists and cannot be read */
  constructor(file: string) {
    try {
      this.#db = existsSync(file) ? openDatabase(file, { readonly: true, fileMustExist: true }) : null;
      const known = this.#db !== null && this.#has('installation');
      const id = known ? this.#db?.prepare('SELECT id FROM installation').pluck().get() : null;
      this.installation = typeof id === 'string' ? id : null;
    } catch (error) {
      throw unreadable(file, error);
    }
  }

  /** @param path relative to the snapshot folder */
  hasFile(path: string): boolean {
    if (!this.#db) return false;
    if (this.#has('files')) return this.#finds('SELECT 1 FROM files WHERE path = ?', path);
    // An earlier schema, whose snapshots become the list when it is migrated.
    return schemaVersion(this.#db) > 0 && this.#finds('SELECT 1 FROM events WHERE snapshot = ?', path);
  }

  hasCopy(name: string): boolean {
    return this.#has('copies') && this.#finds('SELECT 1 FROM copies WHERE name = ?', name);
  }

  close(): void {
    this.#db?.close();
  }

  #has(table: string): boolean {
    return this.#finds("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", table);
  }

  #finds(sql: string, value: string): boolean {
    return this.#db?.prepare(sql).get(value) !== undefined;
  }
}

/** `12 files, 3.4 MB` */
export function sum(files: readonly Pick<UnclaimedFile, 'bytes'>[]): string {
  const bytes = files.reduce((total, file) => total + file.bytes, 0);
  return `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${size(bytes)}`;
}

export function size(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/**
 * Lists unclaimed files in the snapshot folder. Links are not followed, except for the folder itself.
 * @param onClaimed gets the size of each file that is on the list
 */
export async function* unclaimedSnapshots(
  folder: string,
  claims: Claims,
  onClaimed: (bytes: number) => void = () => {},
): AsyncGenerator<UnclaimedFile> {
  for (const camera of await foldersIn(folder)) {
    for (const day of await foldersIn(join(folder, camera))) {
      if (!DAY.test(day)) continue;
      for (const name of await namesIn(join(folder, camera, day))) {
        const below = join(camera, day, name);
        const path = join(folder, below);
        const found = lstatIfExists(path);
        if (!found?.isFile()) continue;
        if (isClaimed(claims, below)) onClaimed(found.size);
        else yield { path, bytes: found.size, owner: await ownerOf(path) };
      }
    }
  }
}

/** Copies of the database that are not on the list. */
export async function unclaimedCopies(database: string, claims: Claims): Promise<UnclaimedFile[]> {
  const folder = dirname(database);
  const own = (await namesIn(folder)).filter((name) => name.startsWith(basename(database)));
  return own
    .filter((name) => COPY.test(name) && !claims.hasCopy(name))
    .map((name) => ({ path: join(folder, name), found: lstatIfExists(join(folder, name)) }))
    .filter(({ found }) => found?.isFile())
    .map(({ path, found }) => ({ path, bytes: found!.size, owner: { kind: 'copy' } }));
}

/**
 * Deletes an unclaimed file, if it is still the same and still not on the list.
 * @param folder the snapshot folder, or that of the database
 * @throws the system's error
 */
export function removeUnclaimed(file: UnclaimedFile, folder: string, claims: Claims): Removal {
  const { path, owner } = file;
  const below = path.slice(join(folder, '/').length);
  const listed = () => (owner.kind === 'copy' ? claims.hasCopy(basename(path)) : isClaimed(claims, below));
  return removeFile(
    path,
    ({ stats, head }) => {
      if (owner.kind === 'other' || stats.size !== file.bytes || listed()) return false;
      if (owner.kind === 'copy') return COPY.test(path);
      const now = ownerFrom(path, head(HEAD_BYTES));
      return (
        now.kind === owner.kind && (owner.kind !== 'installation' || (now as typeof owner).id === owner.id)
      );
    },
    folder,
  );
}

/** Whether a file is on the list, or is being written to become one that is. */
function isClaimed(claims: Claims, path: string): boolean {
  const [, written, installation] = DRAFT.exec(path) ?? [];
  if (written !== undefined && installation === claims.installation) return claims.hasFile(written);
  return claims.hasFile(path);
}

async function ownerOf(path: string): Promise<Owner> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return ownerFrom(path, buffer.subarray(0, bytesRead));
  } catch {
    return { kind: 'other' };
  } finally {
    await file?.close();
  }
}

function ownerFrom(path: string, head: Buffer): Owner {
  const mark = readMark(head);
  if (mark) return { kind: 'installation', id: mark.installation };
  const [, , writer] = DRAFT.exec(basename(path)) ?? [];
  if (writer !== undefined) return { kind: 'installation', id: writer };
  return { kind: SNAPSHOT.test(basename(path)) ? 'unmarked' : 'other' };
}

async function foldersIn(folder: string): Promise<string[]> {
  return (await namesIn(folder)).filter((name) => lstatIfExists(join(folder, name))?.isDirectory());
}

/** Names in a folder; none if it is missing, not a folder, or unreadable. */
async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}
