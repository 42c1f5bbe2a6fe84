/** Finds out why SQLite "cannot open" or "cannot write" a file: it has one code for reasons that the kernel distinguishes. */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createEmpty } from '../runtime/own-files.ts';

/** Faults of the disk that may pass without a change of settings. */
const PASSING = /^(SQLITE_(FULL|IOERR)|ENOSPC|EDQUOT|EIO|EROFS)/;

/** Lookout's code for a write that failed with this code of SQLite or the system. */
export function storeCode(code: string): 'STORE_FULL' | 'STORE_UNWRITABLE' {
  return PASSING.test(code) ? 'STORE_FULL' : 'STORE_UNWRITABLE';
}

export interface DiskFault {
  /** The system's code, such as `EROFS`. */
  code: string;
  /** The file or folder with the fault. */
  path: string;
  /** What is wrong, as text. */
  reason: string;
}

/** Suffixes of files that belong to a database; any of them may belong to another user. */
const BESIDE = ['', '-wal', '-shm', '.lock'];

/** Finds what prevents writing a database and the files next to it; null if nothing does. */
export function findDiskFault(file: string): DiskFault | null {
  const folder = existingFolder(file);
  const files = BESIDE.map((suffix) => file + suffix).filter((path) => existsSync(path));
  for (const path of files) {
    if (statSync(path).isDirectory()) return { code: 'EISDIR', path, reason: 'it is a folder' };
  }
  return (
    check(folder, constants.W_OK | constants.X_OK) ??
    files.map((path) => check(path, constants.R_OK | constants.W_OK)).find((fault) => fault !== null) ??
    full(folder) ??
    probe(folder)
  );
}

function check(path: string, mode: number): DiskFault | null {
  return refusal(path, () => accessSync(path, mode));
}

/** A file system that was shut down after an error looks healthy until a write fails. */
function probe(folder: string): DiskFault | null {
  return refusal(folder, () => createEmpty(join(folder, '.write-test')).remove());
}

function refusal(path: string, attempt: () => void): DiskFault | null {
  try {
    attempt();
    return null;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    return { code, path, reason: REASONS[code]?.() ?? 'the system refuses access' };
  }
}

const REASONS: Record<string, () => string> = {
  EROFS: () => 'the file system is read-only',
  EACCES: () => `user ${process.geteuid?.()} has no write permission`,
  ENOTDIR: () => 'part of the path is a file',
  ENOSPC: () => 'the disk is full',
  EDQUOT: () => 'the disk quota is exhausted',
  EIO: () => 'the disk reports an I/O error',
};

function full(folder: string): DiskFault | null {
  const { bavail } = statfsSync(folder);
  return bavail === 0 ? { code: 'ENOSPC', path: folder, reason: REASONS.ENOSPC!() } : null;
}

/** The nearest existing folder above a file. */
function existingFolder(file: string): string {
  let folder = dirname(file);
  while (!existsSync(folder)) folder = dirname(folder);
  return folder;
}
