/** Resources that the daemon and the programs it started use. */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface Usage {
  /** Processor time of this process since its start, milliseconds. */
  cpuMs: number;
  /** The same for all programs that it started, including ended ones; null: unreadable. */
  childrenCpuMs: number | null;
  /** Resident memory of this process, bytes; null: unreadable. */
  rss: number | null;
  /** Bytes that this process caused to be written to disk since its start; null: unreadable. */
  bytesWritten: number | null;
}

/** Linux reports processor time to user space in hundredths of a second (USER_HZ), on every architecture. */
const MS_PER_TICK = 10;

/**
 * Enough for the needed part of every file. These files report size 0, so `readFile` would allocate 64 kB for each: with
 * 200 processes 13 MB of garbage for every sample.
 */
const MAX_BYTES = 2048;

/** Reads the usage of this process. Never rejects. @param proc folder that replaces /proc */
export async function readUsage(proc = '/proc', pid = process.pid): Promise<Usage> {
  const { user, system } = process.cpuUsage();
  const [children, rss, bytesWritten] = await Promise.all([
    childrenTicks(proc, pid),
    residentBytes(proc),
    readBytesWritten(proc),
  ]);
  return {
    cpuMs: (user + system) / 1000,
    childrenCpuMs: children === null ? null : children * MS_PER_TICK,
    rss,
    bytesWritten,
  };
}

async function residentBytes(proc: string): Promise<number | null> {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec((await content(join(proc, 'self/status'))) ?? '')?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

/** Bytes that this process caused to be written to disk since its start; null: unreadable. */
export async function readBytesWritten(proc = '/proc'): Promise<number | null> {
  const io = await content(join(proc, 'self/io'));
  const written = /^write_bytes: (\d+)$/m.exec(io ?? '')?.[1];
  return written === undefined ? null : Number(written);
}

interface Stat {
  pid: number;
  parent: number;
  /** Ticks of the process, and of its children that have ended and been waited for. */
  own: number;
  waited: number;
}

/**
 * Ticks of all descendants. When one ends, its ticks move to the `waited` of its parent, so that the sum only grows.
 */
async function childrenTicks(proc: string, pid: number): Promise<number | null> {
  const stats = await readStats(proc);
  const self = stats.find((stat) => stat.pid === pid);
  if (self === undefined) return null;
  let ticks = self.waited;
  const generation = [pid];
  for (const parent of generation) {
    for (const child of stats.filter((stat) => stat.parent === parent)) {
      ticks += child.own + child.waited;
      generation.push(child.pid);
    }
  }
  return ticks;
}

async function readStats(proc: string): Promise<Stat[]> {
  let names: string[];
  try {
    names = await readdir(proc);
  } catch {
    return [];
  }
  const pids = names.filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(
    pids.map(async (name) => parseStat(await content(join(proc, name, 'stat')))),
  );
  return stats.filter((stat) => stat !== null);
}

/** Fields of proc_pid_stat(5); the program's name, in parentheses, may itself contain spaces and parentheses. */
function parseStat(line: string | null): Stat | null {
  if (line === null) return null;
  const fields = line
    .slice(line.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [, parent, , , , , , , , , , utime, stime, cutime, cstime] = fields;
  if (parent === undefined || utime === undefined || stime === undefined) return null;
  return {
    pid: Number.parseInt(line, 10),
    parent,
    own: utime + stime,
    waited: (cutime ?? 0) + (cstime ?? 0),
  };
}

/** The first `MAX_BYTES` of a file of /proc; null: unreadable. */
async function content(file: string): Promise<string | null> {
  try {
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(MAX_BYTES), 0, MAX_BYTES);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch {
    return null;
  }
}
