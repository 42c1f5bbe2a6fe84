/**
 * What a disk holds after the power was cut, worked out from the record of failing-disk.c. What was synced is there; of
 * what was not, nothing, or any part (`Seeded` decides), in pieces of a sector. Names (creations, renames, deletions)
 * come back in their order up to some point, at least up to the last sync, as on a file system with a journal.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Seeded } from './random.ts';

const SECTOR = 512;
const KINDS = ['', 'create', 'write', 'truncate', 'sync', 'rename', 'unlink', 'syncFolder', 'open'] as const;

interface Step {
  kind: (typeof KINDS)[number];
  inode: number;
  offset: number;
  path: string;
  data: Buffer;
}

type Change = (names: Map<string, Content>) => void;

/** A file: what is safe, and what was written since. */
class Content {
  bytes = Buffer.alloc(0);
  pending: Step[] = [];

  sync(): void {
    for (const step of this.pending) this.apply(step);
    this.pending = [];
  }

  apply({ kind, offset, data }: Step): void {
    if (kind === 'truncate') {
      const next = Buffer.alloc(offset);
      this.bytes.copy(next);
      this.bytes = next;
      return;
    }
    if (this.bytes.length < offset + data.length) {
      const next = Buffer.alloc(offset + data.length);
      this.bytes.copy(next);
      this.bytes = next;
    }
    data.copy(this.bytes, offset);
  }

  /** Some of the sectors that were written since the last sync reach the disk, in any order. */
  tear(random: Seeded): void {
    for (const step of this.pending) {
      if (step.kind === 'truncate') {
        if (random.chance(0.5)) this.apply(step);
        continue;
      }
      for (let at = 0; at < step.data.length; at += SECTOR) {
        if (random.chance(0.5)) continue;
        this.apply({ ...step, offset: step.offset + at, data: step.data.subarray(at, at + SECTOR) });
      }
    }
    this.pending = [];
  }
}

/** Files below a folder, by path, as they are before the daemon starts. */
export function filesBelow(folder: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  if (!existsSync(folder)) return files;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(path, readFileSync(path));
  }
  return files;
}

/**
 * Puts what a power cut leaves in the place of a folder.
 * @param before the files as they were when the record began
 * @param random null: everything that was not synced is gone
 */
export function cutPower(
  folder: string,
  log: string,
  before: Map<string, Buffer>,
  random: Seeded | null,
): void {
  const names = new Map<string, Content>();
  for (const [path, bytes] of before) {
    const content = new Content();
    content.bytes = Buffer.from(bytes);
    names.set(path, content);
  }
  /** The names as the daemon saw them, and the changes of names that are not safe yet. */
  const seen = new Map(names);
  const byInode = new Map<number, Content>();
  let unsafe: Change[] = [];
  const change = (apply: Change) => {
    apply(seen);
    unsafe.push(apply);
  };
  const commit = () => {
    for (const apply of unsafe) apply(names);
    unsafe = [];
  };
  for (const step of steps(log)) {
    const { kind, inode, path, data } = step;
    const known = byInode.get(inode);
    switch (kind) {
      case 'open': {
        const content = seen.get(path);
        if (content) byInode.set(inode, content);
        break;
      }
      case 'create': {
        const content = new Content();
        byInode.set(inode, content);
        change((map) => map.set(path, content));
        break;
      }
      case 'write':
      case 'truncate':
        known?.pending.push(step);
        break;
      case 'sync':
        known?.sync();
        commit();
        break;
      case 'syncFolder':
        commit();
        break;
      case 'rename':
        change((map) => {
          const moved = map.get(path);
          if (moved) map.set(data.toString(), moved);
          map.delete(path);
        });
        break;
      case 'unlink':
        change((map) => map.delete(path));
    }
  }
  const survivors = random ? random.int(0, unsafe.length) : 0;
  for (const apply of unsafe.slice(0, survivors)) apply(names);
  rmSync(folder, { recursive: true, force: true });
  for (const [path, content] of names) {
    // Shared memory of SQLite, not a file.
    if (path.endsWith('-shm')) continue;
    if (random) content.tear(random);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content.bytes);
  }
}

function* steps(log: string): Generator<Step> {
  const bytes = existsSync(log) ? readFileSync(log) : Buffer.alloc(0);
  for (let at = 0; at + 40 <= bytes.length; ) {
    const [kind, inode, offset, pathLength, dataLength] = [0, 8, 16, 24, 32].map((field) =>
      Number(bytes.readBigUInt64LE(at + field)),
    ) as [number, number, number, number, number];
    const path = bytes.toString('utf8', at + 40, at + 40 + pathLength);
    const data = bytes.subarray(at + 40 + pathLength, at + 40 + pathLength + dataLength);
    yield { kind: KINDS[kind]!, inode, offset, path, data };
    at += 40 + pathLength + dataLength;
  }
}
