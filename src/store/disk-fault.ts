/** Why SQLite "cannot open" or "cannot write" a file: it gives one code for many reasons, which the kernel can tell apart. */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createEmpty } from '../runtime/own-files.ts';

/** Faults of the disk that may pass without anybody changing a setting. */
const PASSING = /^(SQLITE_(FULL|IOERR)|ENOSPC|EDQUOT|EIO|EROFS)/;

/** Lookout's code for one of SQLite's or the system's with which writing failed. */
export function storeCode(code: string): 'STORE_FULL' | 'STORE_UNWRITABLE' {
  return PASSING.test(code) ? 'STORE_FULL' : 'STORE_UNWRITABLE';
}

export interface DiskFault {
  /** The system's code, such as `EROFS`. */
  code: string;
  /** The file or folder that is at fault. */
  path: string;
  /** What is wrong with it, in words. */
  says: string;
}

/** What SQLite keeps beside a database; any of them may belong to another user. */
const BESIDE = ['', '-wal', '-shm', '.lock'];

/** Looks for what keeps a file and those beside it from being written; null if nothing does. */
export function findDiskFault(file: string): DiskFault | null {
  const folder = existingFolder(file);
  const files = BESIDE.map((suffix) => file + suffix).filter((path) => existsSync(path));
  for (const path of files) {
    if (statSync(path).isDirectory()) return { code: 'EISDIR', path, says: 'it is a folder' };
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

/** A file system that has shut itself down after an error looks like any other until somebody writes to it. */
function probe(folder: string): DiskFault | null {
  return refusal(folder, () => createEmpty(join(folder, '.write-test')).remove());
}

function refusal(path: string, attempt: () => void): DiskFault | null {
  try {
    attempt();
    return null;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    return { code, path, says: REASONS[code]?.() ?? 'the system refuses it' };
  }
}

const REASONS: Record<string, () => string> = {
  EROFS: () => 'the file system is read-only',
  EACCES: () => `user ${process.geteuid?.()} may not write there`,
  ENOTDIR: () => 'part of the path is a file',
  ENOSPC: () => 'the disk is full',
  EDQUOT: () => 'the quota is used up',
  EIO: () => 'the disk fails',
};

function full(folder: string): DiskFault | null {
  const { bavail } = statfsSync(folder);
  return bavail === 0 ? { code: 'ENOSPC', path: folder, says: REASONS.ENOSPC!() } : null;
}

/** The nearest folder above a file that is there. */
function existingFolder(file: string): string {
  let folder = dirname(file);
  while (!existsSync(folder)) folder = dirname(folder);
  return folder;
}
