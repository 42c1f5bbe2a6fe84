/**
 * The only place that deletes. Nothing goes because of its name or because of the folder it lies in: whoever deletes
 * brings a proof that Lookout wrote the file, and without one the file stays. A test keeps every other module from
 * deleting, truncating or overwriting.
 *
 * Symbolic links are never followed. Only plain files go, and folders that this process made. Of a file with several
 * hard links one name goes, the content stays.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  rmdirSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { type FileHandle, lstat, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { codeOf } from '../errors.ts';

/** An open file that somebody wants deleted. */
export interface Candidate {
  path: string;
  stats: Stats;
  /** The first bytes of the file, at most so many. */
  head: (bytes: number) => Buffer;
}

/** Whether Lookout wrote the file. */
export type Proof = (file: Candidate) => boolean;

/** `unproven`: it is there and stays. */
export type Removal = 'removed' | 'missing' | 'unproven';

/** A file on its disk, whatever its name. */
export type Identity = Pick<Stats, 'dev' | 'ino'>;

/** The proof for a file that this process created. */
export function isSame({ dev, ino }: Identity): Proof {
  return ({ stats }) => stats.dev === dev && stats.ino === ino;
}

/**
 * Deletes a file that Lookout wrote.
 * @param within folder that the file must lie in, once all symbolic links on the way to it are followed
 * @throws the system's error when a proven file cannot be deleted, such as EACCES, EIO or EROFS
 */
export function removeFile(path: string, proof: Proof, within?: string): Removal {
  return examine(path, proof, within, () => unlinkSync(path));
}

/** Whether a file is there that the proof holds for. */
export function isProven(path: string, proof: Proof): boolean {
  return examine(path, proof, undefined, () => {}) === 'removed';
}

function examine(path: string, proof: Proof, within: string | undefined, remove: () => void): Removal {
  const found = lstatIfExists(path);
  if (!found) return 'missing';
  if (!found.isFile() || (within !== undefined && !isWithin(dirname(path), within))) return 'unproven';
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    // What cannot be read cannot be proven, and what has become a symbolic link is somebody else's.
    if (['EACCES', 'EPERM', 'ELOOP'].includes(codeOf(error))) return 'unproven';
    if (codeOf(error) === 'ENOENT') return 'missing';
    throw error;
  }
  try {
    const stats = fstatSync(file);
    if (stats.dev !== found.dev || stats.ino !== found.ino) return 'unproven';
    const head = (bytes: number) => {
      const buffer = Buffer.alloc(bytes);
      return buffer.subarray(0, readSync(file, buffer, 0, bytes, 0));
    };
    if (!proof({ path, stats, head })) return 'unproven';
    remove();
    return 'removed';
  } finally {
    closeSync(file);
  }
}

/** What lies at a path, links not followed; undefined if nothing does, or nothing can. */
export function lstatIfExists(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (['ENAMETOOLONG', 'EACCES', 'ELOOP', 'EINVAL'].includes(codeOf(error))) return undefined;
    throw error;
  }
}

/** Deletes a folder that Lookout made, if it is empty and lies within another; says whether it is gone. */
export function removeEmptyFolder(path: string, within: string): boolean {
  if (!lstatIfExists(path)?.isDirectory() || !isWithin(dirname(path), within)) {
    return false;
  }
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'EBUSY', 'EACCES', 'EPERM', 'ENOENT'].includes(codeOf(error))) return false;
    throw error;
  }
}

/** Whether a folder is another one or lies in it, once symbolic links are followed; false if either is missing. */
export function isWithin(folder: string, within: string): boolean {
  try {
    const outer = realpathSync(within);
    const inner = realpathSync(folder);
    return inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : outer + sep);
  } catch {
    return false;
  }
}

/** A file that this process has created and that is not complete yet. */
export interface Draft {
  readonly path: string;
  readonly handle: FileHandle;
  /** Closes the file and gives it its name; a file that has that name already is replaced. */
  moveTo: (path: string) => Promise<void>;
  /** Closes the file and deletes it, unless it has been moved. */
  discard: () => Promise<void>;
}

/**
 * Creates a file beside another one, whose name it is meant to take.
 * @param mode as for open(2)
 * @param tag makes its own name one that nothing else has
 * @throws the system's error; EEXIST if something has that name
 */
export async function createDraft(beside: string, mode = 0o666, tag = randomTag()): Promise<Draft> {
  const path = draftName(beside, tag);
  const handle = await open(path, 'wx', mode);
  let over = false;
  const close = async () => {
    const identity = await handle.stat();
    await handle.close();
    return identity;
  };
  return {
    path,
    handle,
    moveTo: async (target) => {
      await handle.close();
      await rename(path, target);
      over = true;
    },
    discard: async () => {
      if (over) return;
      over = true;
      // A handle that is closed already belongs to a move that failed; the name is still ours alone.
      const identity = await close().catch(() => lstat(path).catch(() => null));
      if (identity) removeFile(path, isSame(identity));
    },
  };
}

/** The same for one who cannot wait: creates an empty file and says which it is. */
export function createEmpty(beside: string): { path: string; remove: () => void } {
  const path = draftName(beside, randomTag());
  const file = openSync(path, 'wx');
  const identity = fstatSync(file);
  closeSync(file);
  return { path, remove: () => void removeFile(path, isSame(identity)) };
}

/** Writes a small file where none is. @throws the system's error; nothing is left behind then */
export function writeNew(path: string, content: string): void {
  const file = openSync(path, 'wx');
  const identity = fstatSync(file);
  try {
    writeSync(file, content);
  } catch (error) {
    removeFile(path, isSame(identity));
    throw error;
  } finally {
    closeSync(file);
  }
}

/** Where the draft of a file is. */
export function draftName(beside: string, tag: string): string {
  return `${beside}.${tag}.draft`;
}

function randomTag(): string {
  return randomBytes(6).toString('hex');
}

/** In a folder that may outlive its process this file says which folder it was made for. */
const NOTE = '.made-by-lookout';

const madeFolders = new Map<string, Identity>();

/**
 * Makes a folder that nobody else has, for files that are needed for a while.
 * @param prefix path that a few letters are added to, such as `join(tmpdir(), 'lookout-')`
 */
export async function makeFolder(prefix: string): Promise<string> {
  const path = await mkdtemp(prefix);
  madeFolders.set(path, await lstat(path));
  return path;
}

/** Makes such a folder so that `removeLeftFolder` knows it when this process is killed. */
export async function makeNotedFolder(prefix: string): Promise<string> {
  const path = await makeFolder(prefix);
  await writeFile(join(path, NOTE), String((await lstat(path)).ino), { flag: 'wx' });
  return path;
}

/** Deletes a folder of `makeNotedFolder` that another process left behind; says whether it was one. */
export async function removeLeftFolder(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => null);
  const note = await readFile(join(path, NOTE), 'utf8').catch(() => null);
  if (!found?.isDirectory() || note !== String(found.ino)) return false;
  madeFolders.set(path, found);
  await removeFolder(path);
  return true;
}

/** Deletes a folder of `makeFolder` with all that is in it. Any other folder stays. */
export async function removeFolder(path: string): Promise<void> {
  const made = madeFolders.get(path);
  madeFolders.delete(path);
  const found = await lstat(path).catch(() => null);
  if (!made || !found?.isDirectory() || found.dev !== made.dev || found.ino !== made.ino) return;
  await rm(path, { recursive: true, force: true });
}

/** A name beside another one that is still free: `lookout.db.backup.kept-1`. */
export function freeName(path: string, suffix: string): string {
  for (let number = 1; ; number++) {
    const name = `${path}${suffix}${number}`;
    if (lstatIfExists(name) === undefined) return name;
  }
}
