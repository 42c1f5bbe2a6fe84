/** One process alone writes to a database, by whatever names it is known. */
import { mkdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, dirname, join, resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { codeOf, LookoutError } from '../errors.ts';
import { lookAt } from '../runtime/own-files.ts';
import { unwritable } from './database.ts';
import { openDatabase } from './sqlite.ts';

/** The file behind symbolic links and other spellings of its path, also if it is not there yet. */
export function realFile(file: string): string {
  try {
    return realpathSync(file);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return file;
    if (lookAt(file)?.isSymbolicLink()) return realFile(resolve(dirname(file), readlinkSync(file)));
    const folder = dirname(file);
    return folder === file ? file : join(realFile(folder), basename(file));
  }
}

/**
 * Takes two locks that the kernel drops when the process ends, however it ends: a lock on an empty file beside the
 * database, which also holds between containers that share the folder, and one on the identity of the file, for hard
 * links and single files that are mounted elsewhere.
 * @param file as `realFile` gives it
 * @returns what gives the locks back
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

/** A name in the abstract namespace of Unix sockets (unix(7)) belongs to one process, and no file is left behind. */
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
    // Where there are no such sockets, the lock beside the file has to do.
    if (codeOf(error) === 'EADDRINUSE') throw locked(file, error);
  }
  return () => server.close();
}

function locked(file: string, cause: unknown): LookoutError {
  return new LookoutError('STORE_LOCKED', `database ${file}: another Lookout is writing to it`, {
    cause,
    hint: 'Stop the other one, or give this one its own data_dir.',
  });
}
