/** Pictures of events as JPEG files; paths.ts says where. */
import { mkdir, open, readdir, rename, rmdir, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { free } from '../platform/memory.ts';
import { toRgb } from '../vision/rgb.ts';
import { annotate } from './annotate.ts';
import { codeOf, unwritable } from './connection.ts';
import { eventOfSnapshot } from './paths.ts';
import { localTime } from './time.ts';
import type { SnapshotRequest } from './types.ts';

const DAY = /^\d{4}-\d\d-\d\d$/;
const UNFINISHED = '.tmp';

/** Room that a full disk is given: this share of it, and no more than so many bytes. */
const ROOM_SHARE = 0.05;
const MOST_ROOM = 64_000_000;

/** Files touched more recently than this are never taken for leftovers, in ms. */
const LEFTOVER_AGE_MS = 3_600_000;

export interface SnapshotFile {
  /** Relative to the folder. */
  path: string;
  /** The event it belongs to; null for a picture that was asked for. */
  eventId: string | null;
  day: string;
  bytes: number;
  modifiedAt: number;
}

export class Snapshots {
  readonly #folder: string;
  readonly #quality: number;
  readonly #annotated: boolean;
  #bytes = 0;
  #written = 0;

  constructor(folder: string, { quality, annotated }: { quality: number; annotated: boolean }) {
    this.#folder = folder;
    this.#quality = quality;
    this.#annotated = annotated;
  }

  /** Bytes in the folder. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes written since the start. */
  get written(): number {
    return this.#written;
  }

  /** @throws LookoutError STORE_UNWRITABLE if the folder cannot be created or written */
  async open(): Promise<void> {
    const probe = join(this.#folder, `write-test${UNFINISHED}`);
    try {
      await mkdir(this.#folder, { recursive: true });
      await (await open(probe, 'w')).close();
      await unlink(probe);
    } catch (error) {
      throw unwritable('snapshot folder', this.#folder, error);
    }
  }

  /** Makes the picture upright, draws into it what was asked for and compresses it. */
  async encode(request: SnapshotRequest): Promise<Uint8Array<ArrayBuffer>> {
    const picture = toRgb(new Uint8Array(request.data), request.format, request.transform);
    if (this.#annotated && request.annotation) {
      annotate(picture, request.annotation, localTime(request.capturedAt));
    }
    // Loaded for the first picture, which many a camera never has.
    const { encodeJpeg } = await import('../platform/jpeg.ts');
    const jpeg = await encodeJpeg(picture.data, picture, this.#quality);
    free(picture.data.buffer);
    return jpeg;
  }

  /** Writes a file so that it is there whole or not at all, also after a power cut. */
  async write(path: string, jpeg: Uint8Array): Promise<void> {
    const file = this.#inside(path);
    if (file === null) throw new Error(`${path} is not below the folder of the snapshots`);
    const before = await size(file);
    await mkdir(dirname(file), { recursive: true });
    const unfinished = file + UNFINISHED;
    try {
      const handle = await open(unfinished, 'w');
      try {
        await handle.writeFile(jpeg);
        await handle.datasync();
      } finally {
        await handle.close();
      }
      await rename(unfinished, file);
    } catch (error) {
      await unlink(unfinished).catch(() => {});
      throw error;
    }
    this.#bytes += jpeg.byteLength - before;
    this.#written += jpeg.byteLength;
  }

  /** Deletes a snapshot; one that has gone already, or lies elsewhere, is no error. */
  async remove(path: string, bytes?: number): Promise<void> {
    const file = this.#inside(path);
    if (file === null) return;
    const freed = bytes ?? (await size(file));
    try {
      await unlink(file);
      this.#bytes -= freed;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }

  /** Where a snapshot is; null if its path, which may come out of a damaged database, leads out of the folder. */
  #inside(path: string): string | null {
    const file = join(this.#folder, path);
    const below = relative(this.#folder, file);
    const out = below === '' || below.split(sep)[0] === '..' || path.includes('\0');
    return out ? null : file;
  }

  /**
   * Deletes the oldest pictures until the disk has room again, or none is left.
   * @param now, breathe as for `list`
   * @returns how many were deleted
   */
  async makeRoom(now: number, breathe: () => Promise<void>): Promise<number> {
    const wanted = async () => {
      const { bavail, blocks, bsize } = await statfs(this.#folder);
      return Math.min(MOST_ROOM, blocks * bsize * ROOM_SHARE) - bavail * bsize;
    };
    let deleted = 0;
    let left = await wanted();
    for (const { path, bytes } of left > 0 ? await this.list(now, breathe) : []) {
      if (left <= 0) left = await wanted();
      if (left <= 0) break;
      await breathe();
      await this.remove(path, bytes);
      deleted++;
      left -= bytes;
    }
    return deleted;
  }

  /**
   * Looks through the folder, oldest first, counts its bytes, and tidies up: unfinished files of an earlier run and
   * empty folders go.
   * @param now wall-clock milliseconds
   * @param breathe called for each folder of a day; ends the work by rejecting
   */
  async list(now: number, breathe: () => Promise<void>): Promise<SnapshotFile[]> {
    const files: SnapshotFile[] = [];
    const today = localTime(now).slice(0, 10);
    for (const camera of await entries(this.#folder)) {
      for (const day of await entries(join(this.#folder, camera))) {
        if (!DAY.test(day)) continue;
        await breathe();
        const folder = join(camera, day);
        const names = await entries(join(this.#folder, folder));
        for (const name of names) {
          const path = join(folder, name);
          const found = await stat(join(this.#folder, path)).catch(() => null);
          if (!found?.isFile()) continue;
          if (name.endsWith(UNFINISHED)) {
            if (now - found.mtimeMs > LEFTOVER_AGE_MS) await unlink(join(this.#folder, path));
          } else {
            files.push({
              path,
              eventId: eventOfSnapshot(path),
              day,
              bytes: found.size,
              modifiedAt: found.mtimeMs,
            });
          }
        }
        // Today's folder may be about to get its first file; any other is refused while there is one in it.
        if (names.length === 0 && day < today) await rmdir(join(this.#folder, folder)).catch(() => {});
      }
    }
    files.sort((a, b) => (a.day === b.day ? a.modifiedAt - b.modifiedAt : a.day < b.day ? -1 : 1));
    this.#bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    return files;
  }
}

async function size(file: string): Promise<number> {
  return (await stat(file).catch(() => null))?.size ?? 0;
}

/** Names in a folder; none if it is not there or not a folder. */
async function entries(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return [];
    throw error;
  }
}
