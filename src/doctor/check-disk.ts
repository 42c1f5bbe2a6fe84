/** Free space and speed of the disk with the data. */
import { closeSync, existsSync, fdatasyncSync, openSync, statfsSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '../errors.ts';
import { createEmpty } from '../runtime/own-files.ts';
import { type Check, type Finding, fail, ok, warn } from './check.ts';

const MB = 1_000_000;
/** Free MB below which writes are about to fail, and below which they may soon. */
const SCARCE_MB = 50;
const LOW_MB = 500;

/** Small writes, each synced to the disk as every event is. */
const COMMITS = 20;
const COMMIT_BYTES = 4096;
/** Median in ms that is slow, and too slow: with the latter, the events of a busy minute take longer than a minute. */
const SLOW_MS = 100;
const TOO_SLOW_MS = 1000;

export const checkDisk: Check = async ({ loaded, root }) => {
  const { data_dir, store } = loaded.config;
  let folder = data_dir;
  while (!existsSync(folder)) folder = dirname(folder);
  const findings = [freeSpace(folder, store.max_database + store.max_snapshots)];
  const volatile = await inMemory(folder, root);
  if (volatile) findings.push(volatile);
  if (existsSync(data_dir)) findings.push(speed(data_dir));
  return findings;
};

/** @param limit MB to which the database and the snapshots may grow */
function freeSpace(folder: string, limit: number): Finding {
  const { bavail, bsize, files, ffree } = statfsSync(folder);
  const free = Math.round((bavail * bsize) / MB);
  const text = `${folder}: ${free} MB free`;
  const advice = 'Free disk space, or lower store.max_database and store.max_snapshots.';
  if (files > 0 && ffree < 1000)
    return fail('disk', `${text}, but there is room for only ${ffree} more files`, advice);
  if (free < SCARCE_MB) return fail('disk', text, advice);
  if (free < LOW_MB) return warn('disk', text, advice);
  if (free < limit)
    return warn('disk', `${text}; the database and the snapshots may grow to ${limit} MB`, advice);
  return ok('disk', text);
}

/** Warns of a folder in memory, which is empty after the next boot. */
async function inMemory(folder: string, root: string): Promise<Finding | null> {
  const mounts = await readFile(join(root, 'proc/mounts'), 'utf8').catch(() => '');
  const points = mounts.split('\n').map((line) => line.split(' '));
  const holds = points.filter(([, point = '-']) => point === '/' || `${folder}/`.startsWith(`${point}/`));
  holds.sort(([, a = ''], [, b = '']) => a.length - b.length);
  const [, point, type] = holds.at(-1) ?? [];
  if (type !== 'tmpfs' && type !== 'ramfs') return null;
  return warn('disk', `${point} is in memory: every reboot deletes the data`, 'Move data_dir to a disk.');
}

function speed(folder: string): Finding {
  const times: number[] = [];
  try {
    const file = createEmpty(join(folder, '.doctor'));
    const handle = openSync(file.path, 'r+');
    try {
      for (let commit = 0; commit < COMMITS; commit++) {
        const start = performance.now();
        writeSync(handle, Buffer.alloc(COMMIT_BYTES, commit));
        fdatasyncSync(handle);
        times.push(performance.now() - start);
      }
    } finally {
      closeSync(handle);
      file.remove();
    }
  } catch (error) {
    return fail('disk speed', messageOf(error), 'Free disk space, or correct the permissions of data_dir.');
  }
  times.sort((a, b) => a - b);
  const median = times[COMMITS / 2]!;
  const text = `a synced write takes ${median.toFixed(1)} ms, the slowest ${times.at(-1)!.toFixed(1)} ms`;
  const advice = 'The SD card is slow or worn out. Use a card of class A1 or better, or a USB disk.';
  if (median >= TOO_SLOW_MS) return fail('disk speed', text, advice);
  return median >= SLOW_MS ? warn('disk speed', text, advice) : ok('disk speed', text);
}
