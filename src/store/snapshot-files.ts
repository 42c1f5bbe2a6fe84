/** Pictures of events as JPEG files; snapshot-path.ts says where, file-list.ts and snapshot-mark.ts how each is known to be ours. */
import { mkdir, statfs } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { annotate } from '../pixels/annotate.ts';
import { toRgb } from '../pixels/rgb.ts';
import { free } from '../runtime/garbage.ts';
import {
  createDraft,
  createEmpty,
  type Draft,
  draftName,
  isProven,
  isWithin,
  lookAt,
  type Proof,
  type Removal,
  removeEmptyFolder,
  removeFile,
} from '../runtime/own-files.ts';
import { localTime } from '../runtime/time-text.ts';
import { unwritable } from './database.ts';
import type { FileList, FileNote, ListedFile } from './file-list.ts';
import { HEAD_BYTES, readMark, withMark } from './snapshot-mark.ts';
import { LATEST } from './snapshot-path.ts';
import type { SnapshotRequest } from './store-types.ts';

const DAY_MS = 86_400_000;

/** Room that a full disk is given: this share of it, and no more than so many bytes. */
const ROOM_SHARE = 0.05;
const MOST_ROOM = 64_000_000;

/** A file of the list that is there. */
export interface SnapshotFile extends ListedFile {
  bytes: number;
}

export interface SnapshotsOptions {
  /** JPEG quality, 1…100. */
  quality: number;
  /** Whether boxes and labels are drawn. */
  annotated: boolean;
  /** The list of the database that is open now. */
  list: () => FileList;
}

/** What became of making room on a full disk. */
export interface Room {
  deleted: number;
  /** Only what must stay is left, and there is still too little room. */
  short: boolean;
}

export class Snapshots {
  readonly #folder: string;
  readonly #options: SnapshotsOptions;
  #bytes = 0;
  #written = 0;
  /** The folder that a file is being written into. */
  #busy: string | null = null;

  constructor(folder: string, options: SnapshotsOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  /** Bytes of the files in the list. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes written since the start. */
  get written(): number {
    return this.#written;
  }

  /** @throws LookoutError STORE_UNWRITABLE if the folder cannot be created or written */
  async open(): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true });
      createEmpty(join(this.#folder, '.write-test')).remove();
    } catch (error) {
      throw unwritable('snapshot folder', this.#folder, error);
    }
  }

  /** Makes the picture upright, draws into it what was asked for and compresses it. */
  async encode(request: SnapshotRequest): Promise<Uint8Array<ArrayBuffer>> {
    const picture = toRgb(new Uint8Array(request.data), request.format, request.transform);
    if (this.#options.annotated && request.annotation) {
      annotate(picture, request.annotation, localTime(request.capturedAt));
    }
    // Loaded for the first picture, which many a camera never has.
    const { encodeJpeg } = await import('../pixels/jpeg.ts');
    const jpeg = await encodeJpeg(picture.data, picture, this.#options.quality);
    free(picture.data.buffer);
    return jpeg;
  }

  /**
   * Writes a file so that it is there whole or not at all, also after a power cut. It is listed before it is there.
   * @throws Error if somebody else's file has its place
   */
  async write(note: FileNote, jpeg: Uint8Array): Promise<void> {
    const list = this.#options.list();
    const path = this.#freePath(list, note);
    const file = this.#inside(path)!;
    const folder = dirname(file);
    const before = size(file);
    let draft: Draft | undefined;
    this.#busy = folder;
    try {
      const made = await mkdir(folder, { recursive: true });
      if (made !== undefined) {
        list.note({ ...note, path: `${relative(this.#folder, folder)}/`, event: null });
      }
      if (!list.find(path)) list.note({ ...note, path });
      // Its name says who is writing, so that what a power cut leaves of it is known, too.
      this.#removeDraft(list, file);
      draft = await createDraft(file, 0o666, list.installation);
      const pieces = withMark(jpeg, { installation: list.installation, event: note.event ?? LATEST });
      await draft.handle.writev(pieces);
      await draft.handle.datasync();
      await draft.moveTo(file);
      const bytes = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
      this.#bytes += bytes - before;
      this.#written += bytes;
    } catch (error) {
      await draft?.discard().catch(() => {});
      throw error;
    } finally {
      this.#busy = null;
    }
  }

  /** The path of a note, or for a picture that was asked for another one if somebody else's file is there. */
  #freePath(list: FileList, { path, event }: FileNote): string {
    const paths =
      event === null ? [path, path.replace(/(?=\.jpg$)/, `-${list.installation.slice(0, 8)}`)] : [path];
    for (const candidate of paths) {
      const file = this.#inside(candidate);
      if (file === null) throw new Error(`${path} is not below the folder of the snapshots`);
      const there = lookAt(file) !== undefined;
      const listed = list.find(candidate) ?? { event, marked: 1 };
      if (!there || isProven(file, isOf(list, listed))) return candidate;
    }
    throw Object.assign(new Error('a file that this Lookout did not write is in its place'), {
      code: 'EEXIST',
    });
  }

  /**
   * Deletes files of the list, and takes them off. What is listed and turns out to be somebody else's stays, but is
   * taken off, too.
   * @param paths those that are not in the list stay
   */
  remove(paths: readonly string[]): void {
    const list = this.#options.list();
    const listed = paths.flatMap((path) => list.find(path) ?? []);
    for (const file of listed) this.delete(file);
    list.forget(listed);
  }

  /**
   * Deletes a file of the list; `forget` takes it off.
   * @throws the system's error when our own file cannot be deleted
   */
  delete(listed: ListedFile): Removal {
    const file = this.#inside(listed.path);
    if (file === null) return 'missing';
    const bytes = size(file);
    const removal = removeFile(file, isOf(this.#options.list(), listed), this.#folder);
    if (removal === 'removed') this.#bytes -= bytes;
    return removal;
  }

  forget(files: readonly ListedFile[]): void {
    this.#options.list().forget(files);
  }

  /** Where a snapshot is; null if its path, which may come out of a damaged database, leads out of the folder. */
  #inside(path: string): string | null {
    const file = join(this.#folder, path);
    const below = relative(this.#folder, file);
    const out = below === '' || below.split(sep)[0] === '..' || path.includes('\0');
    return out ? null : file;
  }

  /**
   * Deletes the oldest pictures until the disk has room again. Those of the last days stay, for it may be another
   * program that fills the disk.
   * @param floor days
   * @param breathe lets other work in; ends this one by rejecting
   */
  async makeRoom(floor: number, breathe: () => Promise<void>): Promise<Room> {
    const wanted = async () => {
      const { bavail, blocks, bsize } = await statfs(this.#folder);
      return Math.min(MOST_ROOM, blocks * bsize * ROOM_SHARE) - bavail * bsize;
    };
    const deleted: SnapshotFile[] = [];
    let left = await wanted();
    if (left <= 0) return { deleted: 0, short: false };
    const files = await this.list(breathe);
    for (const file of files.slice(0, files.length - countNewest(files, floor * DAY_MS))) {
      if (left <= 0) left = await wanted();
      if (left <= 0) break;
      await breathe();
      if (this.delete(file) !== 'removed') continue;
      deleted.push(file);
      left -= file.bytes;
    }
    try {
      this.forget(deleted);
    } catch {
      // The disk may still be full. What is on the list and not there does no harm.
    }
    return { deleted: deleted.length, short: (await wanted()) > 0 };
  }

  /**
   * The files of the list that are there, oldest first; counts their bytes. What lies behind a link that leads out of
   * the folder is not among them.
   * @param breathe lets other work in; ends this one by rejecting
   */
  async list(breathe: () => Promise<void>): Promise<SnapshotFile[]> {
    const files: SnapshotFile[] = [];
    const within = new Map<string, boolean>();
    for (const [index, listed] of this.#options.list().all().entries()) {
      if (index % BATCH === 0) await breathe();
      const file = this.#inside(listed.path);
      if (file === null || listed.path.endsWith('/')) continue;
      const bytes = size(file);
      if (bytes === 0) continue;
      const folder = dirname(file);
      if (!within.has(folder)) within.set(folder, isWithin(folder, this.#folder));
      if (within.get(folder)) files.push({ ...listed, bytes });
    }
    this.#bytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
    return files;
  }

  /**
   * Tidies up: what a power cut left of a file goes, and folders that were made for files and are empty. Files that are
   * not there and that no event names are taken off the list.
   * @param breathe lets other work in; ends this one by rejecting
   */
  async tidy(breathe: () => Promise<void>): Promise<void> {
    const list = this.#options.list();
    const gone: ListedFile[] = [];
    for (const [index, listed] of list.all().entries()) {
      if (index % BATCH === 0) await breathe();
      const file = this.#inside(listed.path.replace(/\/$/, ''));
      if (file === null || file === this.#busy || dirname(file) === this.#busy) continue;
      if (listed.path.endsWith('/')) {
        if (removeEmptyFolder(file, this.#folder)) gone.push(listed);
      } else if (!lookAt(file)) {
        this.#removeDraft(list, file);
        if (!list.isNamed(listed)) gone.push(listed);
      }
    }
    list.forget(gone);
  }

  /** Deletes what is left of a file that was being written: this installation's whole id is in its name. */
  #removeDraft(list: FileList, file: string): void {
    removeFile(draftName(file, list.installation), () => true, this.#folder);
  }
}

/** The proof for a file of the list: its mark names this installation and the listed event. */
function isOf({ installation }: FileList, { event, marked }: Pick<ListedFile, 'event' | 'marked'>): Proof {
  return ({ head }) => {
    const mark = readMark(head(HEAD_BYTES));
    // Before there were marks, only the list knew.
    if (mark === null) return marked === 0;
    return mark.installation === installation && mark.event === (event ?? LATEST);
  };
}

/** Files that are looked at in one go. */
const BATCH = 500;

/**
 * How many of the newest files were made in the last so many milliseconds. Time is measured from one file to the next,
 * and does not count where the clock was set in between and the time is not known on both sides.
 * @param files oldest first
 */
export function countNewest(files: readonly Time[], ms: number): number {
  let count = 0;
  let passed = 0;
  for (let index = files.length - 1; index >= 0; index--) {
    const [file, next] = [files[index]!, files[index + 1]];
    if (next && (next.clock === file.clock || isKnown(file, next))) passed += Math.max(0, next.at - file.at);
    if (passed > ms) break;
    count++;
  }
  return count;
}

type Time = Pick<ListedFile, 'at' | 'clock' | 'time_uncertain'>;

const isKnown = (...files: readonly Time[]) => files.every(({ time_uncertain }) => time_uncertain !== 1);

function size(file: string): number {
  const found = lookAt(file);
  return found?.isFile() ? found.size : 0;
}
