/** Finds and ends what a test process has started, also if it outlives it or leads a session of its own. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Name of the environment variable by which the descendants of a test process are known. */
export const MARK = 'LOOKOUT_TEST_PROCESS';

interface Found {
  pid: number;
  command: string;
}

/** Processes whose mark in the environment starts so, or that belong to the session; zombies do not count. */
export function processesOf(mark: string, session?: number): Found[] {
  const found: Found[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    // After the last parenthesis: state, parent, process group, session.
    const [state, , , itsSession] = read(pid, 'stat')
      .replace(/^.*\) /s, '')
      .split(' ');
    if (!state || state === 'Z') continue;
    const marked = read(pid, 'environ')
      .split('\0')
      .some((variable) => variable.startsWith(`${MARK}=${mark}`));
    if (marked || Number(itsSession) === session) {
      found.push({ pid, command: read(pid, 'cmdline').replaceAll('\0', ' ').trim() });
    }
  }
  return found;
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
export function killAll(mark: string, session: number): void {
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
