/** Finds and ends what a test process has started, also if it outlives it or leads a session of its own. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Name of the environment variable by which the descendants of a test process are known. */
export const MARK = 'LOOKOUT_TEST_PROCESS';

interface Found {
  pid: number;
  command: string;
}

/**
 * Processes whose mark in the environment starts so, and those that share a session with one of them or belong to
 * `session`; zombies do not count.
 */
export function processesOf(mark: string, session?: number): Found[] {
  const all = readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .map((pid) => ({ pid, session: sessionOf(pid), marked: isMarked(pid, mark) }));
  const sessions = new Set(all.filter(({ marked }) => marked).map(({ session }) => session));
  sessions.add(session ?? null).delete(null);
  return all
    .filter((one) => one.session !== null && (one.marked || sessions.has(one.session)))
    .map(({ pid }) => ({ pid, command: read(pid, 'cmdline').replaceAll('\0', ' ').trim() }));
}

/** Session of a process; null if it has ended. */
function sessionOf(pid: number): number | null {
  // After the last parenthesis: state, parent, process group, session.
  const [state, , , session] = read(pid, 'stat')
    .replace(/^.*\) /s, '')
    .split(' ');
  return !state || state === 'Z' ? null : Number(session);
}

function isMarked(pid: number, mark: string): boolean {
  const variables = read(pid, 'environ').split('\0');
  return variables.some((variable) => variable.startsWith(`${MARK}=${mark}`));
}

/**
 * Ends what is left of a test process.
 * @param patienceMs how long what was already ended may take to go
 * @returns what had to be ended
 */
export async function endProcesses(mark: string, session: number, patienceMs: number): Promise<Found[]> {
  const end = performance.now() + patienceMs;
  let left = processesOf(mark, session);
  while (left.length > 0 && performance.now() < end) {
    await delay(20);
    left = processesOf(mark, session);
  }
  killAll(mark, session);
  return left;
}

/** Kills all of them, also those that they start meanwhile. */
export function killAll(mark: string, session?: number): void {
  for (let round = 0; round < 5; round++) {
    const found = processesOf(mark, session);
    if (found.length === 0) return;
    for (const { pid } of found) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
  }
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It has ended, or belongs to another user.
    return '';
  }
}
