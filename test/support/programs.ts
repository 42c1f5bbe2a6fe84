import { readFile, rm, symlink } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { SourceContext } from '../../src/capture/source.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { FakeLog } from '../fakes/log.ts';
import { tempFolder } from './folder.ts';

/** The folder of the fake camera programs. */
export const FAKES = fileURLToPath(new URL('../fakes/bin', import.meta.url));

/** Where this Node is found under the name `node`, for the fake programs' first line. */
const NODE = dirname(process.execPath);

/** An environment in which the camera programs are the fakes, behaving as told (see test/fakes/camera-program.cjs). */
export function fakeEnv(behaviour = '', folder = FAKES): NodeJS.ProcessEnv {
  return { ...process.env, PATH: [folder, NODE, '/usr/bin', '/bin'].join(delimiter), FAKE_CAMERA: behaviour };
}

/** What a source gets, with fake programs, a log to read and the real clock. */
export function fakeContext(behaviour = ''): SourceContext & { fakeLog: FakeLog } {
  const fakeLog = new FakeLog();
  return { clock: systemClock, log: fakeLog.logger, fakeLog, env: fakeEnv(behaviour), root: '/nowhere' };
}

/** A folder that is gone after the test. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = tempFolder();
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder with only some of the fake programs: name → which fake it is. */
export async function programFolder(t: TestContext, programs: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder(t);
  for (const [name, fake] of Object.entries(programs)) await symlink(join(FAKES, fake), join(folder, name));
  return folder;
}

/** Resolves when `condition` holds; fails after `ms`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  ms = 10_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether a process runs. A zombie does not. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return !/\) Z /.test(stat);
  } catch {
    return false;
  }
}
