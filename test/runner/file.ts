/** Runs one test file in a process of its own and takes along whatever that has started. */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { endProcesses, killAll, MARK } from './processes.ts';
import type { Report, TestResult } from './reporter.ts';

export interface FileOptions {
  /** Path of the test file. */
  file: string;
  /** Milliseconds that one test may take. */
  limitMs: number;
  /** Orders the tests within the file. */
  seed: number;
  /** Only tests whose name matches this pattern run. */
  name?: string | undefined;
  /** Folder of the run: temporary files and compiled code. */
  folder: string;
  /** Distinguishes the processes of this file from all others. */
  mark: string;
}

export interface FileResult {
  file: string;
  tests: TestResult[];
  messages: string[];
  /** What went wrong besides the tests that failed. */
  faults: string[];
  /** The end of what the file printed. */
  output: string;
  ms: number;
}

/** Milliseconds beyond the limit of a test after which a process that reports nothing is ended. */
const GRACE_MS = 5000;
const OUTPUT_LENGTH = 20_000;

const reporter = new URL('./reporter.ts', import.meta.url).href;
const running = new Map<string, number>();

/** Ends every test process and what it has started, at once. */
export function killRunning(): void {
  for (const [mark, session] of running) killAll(mark, session);
}

export async function runFile(options: FileOptions): Promise<FileResult> {
  const { file, limitMs, seed, name, folder, mark } = options;
  const temporary = join(folder, mark);
  mkdirSync(temporary);
  const began = performance.now();
  const result: FileResult = { file, tests: [], messages: [], faults: [], output: '', ms: 0 };
  const child = spawn(
    process.execPath,
    [
      `--test-reporter=${reporter}`,
      `--test-timeout=${limitMs}`,
      `--test-random-seed=${seed}`,
      // What a failed test has left open must not keep the process.
      '--test-force-exit',
      ...(name === undefined ? [] : [`--test-name-pattern=${name}`]),
      file,
    ],
    {
      // A session of its own: a signal for the runner reaches the tests through the runner only.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: {
        ...process.env,
        // Within another test run node:test would report to that one.
        NODE_TEST_CONTEXT: undefined,
        [MARK]: mark,
        TMPDIR: temporary,
        NODE_COMPILE_CACHE: join(folder, 'compiled'),
      },
    },
  );
  const session = child.pid ?? 0;
  running.set(mark, session);

  let hangs = false;
  const watchdog = setTimeout(() => {
    hangs = true;
    result.faults.push(`no test ended for ${(limitMs + GRACE_MS) / 1000} s`);
    killAll(mark, session);
  }, limitMs + GRACE_MS);
  const reports = createInterface({ input: child.stdio[3] as Readable });
  reports.on('line', (line) => {
    watchdog.refresh();
    const report = JSON.parse(line) as Report;
    if ('message' in report) result.messages.push(report.message);
    else result.tests.push(report);
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream!.on('data', (chunk: Buffer) => {
      result.output = (result.output + chunk).slice(-OUTPUT_LENGTH);
    });
  }

  const closed = new Promise((resolve) => reports.once('close', resolve));
  const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', (error) => {
      result.faults.push(String(error));
      resolve({ code: 0, signal: null });
    });
  });
  clearTimeout(watchdog);
  await closed;
  const failed = result.tests.some(({ passed }) => !passed);
  const left = await endProcesses(mark, session, failed || hangs ? 0 : 2000);
  running.delete(mark);
  if (!failed && !hangs) {
    if (code !== 0) result.faults.push(signal ? `ended by ${signal}` : `ended with exit code ${code}`);
    for (const { pid, command } of left) result.faults.push(`left process ${pid} running: ${command}`);
  }
  for (const stream of [child.stdout, child.stderr]) stream!.destroy();
  rmSync(temporary, { recursive: true, force: true });
  result.ms = performance.now() - began;
  return result;
}
