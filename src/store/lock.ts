/** Makes sure that only one process writes to a database, whatever path it is opened by. */
import { mkdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, dirname, join, resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { codeOf, LookoutError } from '../errors.ts';
import { lstatIfExists } from '../runtime/own-files.ts';
import { unwritable } from './database.ts';
import { openDatabase } from './sqlite.ts';

/** The path of a file without symbolic links, also if the file does not exist yet. */
export function realFile(file: string): string {
  try {
    return realpathSync(file);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return file;
    if (lstatIfExists(file)?.isSymbolicLink()) return realFile(resolve(dirname(file), readlinkSync(file)));
    const folder = dirname(file);
    return folder === file ? file : join(realFile(folder), basename(file));
  }
}

/**
 * Takes two locks that the kernel releases whenever the process ends: one on an empty file next to the database, which
 * also works between containers that share the folder, and one on the identity of the file, for hard links and single
 * files that are mounted elsewhere.
 * @param file as returned by `realFile`
 * @returns a function that releases the locks
 * @throws LookoutError STORE_LOCKED, STORE_UNWRITABLE or SYSTEM_UNSUPPORTED
 */
export async function lockForWriting(file: string): Promise<() => void> {
  const unlockName = lockName(file);
  try {
    const unlockIdentity = await lockIdentity(file);
    return () => {
      unlockIdentity();
      unlockName();
    };
  } catch (error) {
    unlockName();
    throw error;
  }
}

function lockName(file: string): () => void {
  let lock: Database | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true });
    lock = openDatabase(`${file}.lock`, { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    return () => lock?.close();
  } catch (error) {
    lock?.close();
    if (error instanceof LookoutError) throw error;
    if (codeOf(error).startsWith('SQLITE_BUSY')) throw locked(file, error);
    throw unwritable('database', file, error);
  }
}

/** A name in the abstract namespace of Unix sockets (unix(7)) belongs to one process and leaves no file behind. */
async function lockIdentity(file: string): Promise<() => void> {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) return () => {};
  const server = createServer((socket) => socket.destroy()).unref();
  const { promise, resolve: listening, reject } = Promise.withResolvers<void>();
  server.once('error', reject).once('listening', listening);
  server.listen({ path: `\0lookout-database-${found.dev}-${found.ino}` });
  try {
    await promise;
  } catch (error) {
    // On a system without such sockets, the other lock has to suffice.
    if (codeOf(error) === 'EADDRINUSE') throw locked(file, error);
  }
  return () => server.close();
}

function locked(file: string, cause: unknown): LookoutError {
  return new LookoutError('STORE_LOCKED', `database ${file}: another Lookout is writing to it`, {
    cause,
    hint: 'Stop the other Lookout, or set a different data_dir for this one.',
  });
}
