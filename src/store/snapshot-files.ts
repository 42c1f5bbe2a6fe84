/** Snapshots as JPEG files. See snapshot-path.ts for their paths, file-list.ts and snapshot-mark.ts for their ownership. */
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
  lstatIfExists,
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

/** Space to free on a full disk: this share of it, and at most `MOST_ROOM` bytes. */
const ROOM_SHARE = 0.05;
const MOST_ROOM = 64_000_000;

/** A listed file that exists. */
export interface SnapshotFile extends ListedFile {
  bytes: number;
}

export interface SnapshotsOptions {
  /** JPEG quality, 1…100. */
  quality: number;
  /** Whether boxes and labels are drawn. */
  annotated: boolean;
  /** The file list of the open database. */
  list: () => FileList;
}

/** The result of freeing space on a full disk. */
export interface Room {
  deleted: number;
  /** Only snapshots that must stay are left, and there is still too little space. */
  short: boolean;
}

export class Snapshots {
  readonly #folder: string;
  readonly #options: SnapshotsOptions;
  #bytes = 0;
  #written = 0;
  /** The folder into which a file is being written. */
  #busy: string | null = null;

  constructor(folder: string, options: SnapshotsOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  /** Bytes of the listed files. */
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

  /** Rotates the image upright, annotates and compresses it. */
  async encode(request: SnapshotRequest): Promise<Uint8Array<ArrayBuffer>> {
    const image = toRgb(new Uint8Array(request.data), request.format, request.transform);
    if (this.#options.annotated && request.annotation) {
      annotate(image, request.annotation, localTime(request.capturedAt));
    }
    // Loaded for the first snapshot only, to save memory until then.
    const { encodeJpeg } = await import('../pixels/jpeg.ts');
    const jpeg = await encodeJpeg(image.data, image, this.#options.quality);
    free(image.data.buffer);
    return jpeg;
  }

  /**
   * Writes a file atomically, also across a power cut. It is listed before it is created.
   * @throws Error if a file of another program is in its place
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
      // The name contains the installation, so that a draft left by a power cut can be deleted later.
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

  /** The path in `note`; for a requested snapshot another one if a file of another program is there. */
  #freePath(list: FileList, { path, event }: FileNote): string {
    const paths =
      event === null ? [path, path.replace(/(?=\.jpg$)/, `-${list.installation.slice(0, 8)}`)] : [path];
    for (const candidate of paths) {
      const file = this.#inside(candidate);
      if (file === null) throw new Error(`${path} is not below the snapshot folder`);
      const there = lstatIfExists(file) !== undefined;
      const listed = list.find(candidate) ?? { event, marked: 1 };
      if (!there || isProven(file, isOf(list, listed))) return candidate;
    }
    throw Object.assign(new Error('a file with this name exists and was not written by this Lookout'), {
      code: 'EEXIST',
    });
  }

  /**
   * Deletes listed files and removes them from the list. A listed file that turns out to belong to another program
   * stays, but is removed from the list.
   * @param paths files that are not listed stay
   */
  remove(paths: readonly string[]): void {
    const list = this.#options.list();
    const listed = paths.flatMap((path) => list.find(path) ?? []);
    for (const file of listed) this.delete(file);
    list.forget(listed);
  }

  /**
   * Deletes a listed file; `forget` removes it from the list.
   * @throws the system's error if our own file cannot be deleted
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

  /** The absolute path of a snapshot; null if it leads out of the folder, as it may in a damaged database. */
  #inside(path: string): string | null {
    const file = join(this.#folder, path);
    const below = relative(this.#folder, file);
    const out = below === '' || below.split(sep)[0] === '..' || path.includes('\0');
    return out ? null : file;
  }

  /**
   * Deletes the oldest snapshots until the disk has free space again. Those of the last days stay, because another
   * program may be filling the disk.
   * @param floor days
   * @param yieldToEventLoop lets other work run; rejects to cancel
   */
  async makeRoom(floor: number, yieldToEventLoop: () => Promise<void>): Promise<Room> {
    const wanted = async () => {
      const { bavail, blocks, bsize } = await statfs(this.#folder);
      return Math.min(MOST_ROOM, blocks * bsize * ROOM_SHARE) - bavail * bsize;
    };
    const deleted: SnapshotFile[] = [];
    let left = await wanted();
    if (left <= 0) return { deleted: 0, short: false };
    const files = await this.list(yieldToEventLoop);
    for (const file of files.slice(0, files.length - countNewest(files, floor * DAY_MS))) {
      if (left <= 0) left = await wanted();
      if (left <= 0) break;
      await yieldToEventLoop();
      if (this.delete(file) !== 'removed') continue;
      deleted.push(file);
      left -= file.bytes;
    }
    try {
      this.forget(deleted);
    } catch {
      // The disk may still be full. Listed files that do not exist do no harm.
    }
    return { deleted: deleted.length, short: (await wanted()) > 0 };
  }

  /**
   * The listed files that exist, oldest first; counts their bytes. Files behind a link that leads out of the folder are
   * left out.
   * @param yieldToEventLoop lets other work run; rejects to cancel
   */
  async list(yieldToEventLoop: () => Promise<void>): Promise<SnapshotFile[]> {
    const files: SnapshotFile[] = [];
    const within = new Map<string, boolean>();
    for (const [index, listed] of this.#options.list().all().entries()) {
      if (index % BATCH === 0) await yieldToEventLoop();
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
   * Deletes drafts left by a power cut, and empty folders that were created for snapshots. Files that do not exist and
   * that no event refers to are removed from the list.
   * @param yieldToEventLoop lets other work run; rejects to cancel
   */
  async cleanUp(yieldToEventLoop: () => Promise<void>): Promise<void> {
    const list = this.#options.list();
    const gone: ListedFile[] = [];
    for (const [index, listed] of list.all().entries()) {
      if (index % BATCH === 0) await yieldToEventLoop();
      const file = this.#inside(listed.path.replace(/\/$/, ''));
      if (file === null || file === this.#busy || dirname(file) === this.#busy) continue;
      if (listed.path.endsWith('/')) {
        if (removeEmptyFolder(file, this.#folder)) gone.push(listed);
      } else if (!lstatIfExists(file)) {
        this.#removeDraft(list, file);
        if (!list.isNamed(listed)) gone.push(listed);
      }
    }
    list.forget(gone);
  }

  /** Deletes the draft of a file, which has this installation's id in its name. */
  #removeDraft(list: FileList, file: string): void {
    removeFile(draftName(file, list.installation), () => true, this.#folder);
  }
}

/** The proof for a listed file: its mark names this installation and the listed event. */
function isOf({ installation }: FileList, { event, marked }: Pick<ListedFile, 'event' | 'marked'>): Proof {
  return ({ head }) => {
    const mark = readMark(head(HEAD_BYTES));
    // Files from before marks existed are known by the list only.
    if (mark === null) return marked === 0;
    return mark.installation === installation && mark.event === (event ?? LATEST);
  };
}

/** Files checked between two pauses. */
const BATCH = 500;

/**
 * How many of the newest files were written in the last `ms` milliseconds. Time is measured from one file to the next;
 * an interval in which the clock was set does not count unless both times are known.
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
  const found = lstatIfExists(file);
  return found?.isFile() ? found.size : 0;
}
