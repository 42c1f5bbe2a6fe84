/**
 * Runs the tests: `npm test [-- FILE|FOLDER|KIND … --seed N --name PATTERN --jobs N --times N --durations]`.
 *
 * Each file runs in a process of its own, in random order, and so do the tests within it; the seed repeats an order.
 * Whatever a file starts ends with it.
 */
import { spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { chmodSync, globSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { availableParallelism, constants, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { type FileResult, killRunning, runFile } from './runner/file.ts';
import { printFile, printSummary } from './runner/print.ts';
import { MARK, processesOf } from './runner/processes.ts';
import { Seeded } from './support/random.ts';

/** Kind (a folder of `test/`) → milliseconds that one of its tests may take. The slow kinds start first. */
const LIMITS = { faults: 60_000, e2e: 60_000, integration: 60_000, unit: 10_000 };
type Kind = keyof typeof LIMITS;
const KINDS = Object.keys(LIMITS) as Kind[];
/** Kinds whose tests mostly wait for a daemon. */
const WAITING = new Set<Kind>(['faults', 'e2e']);

const root = join(import.meta.dirname, '..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: String(randomInt(2 ** 32 - 1)) },
    name: { type: 'string' },
    /** Pairs of files at a time: one that mostly waits, one that computes. */
    jobs: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    times: { type: 'string', default: '1' },
    durations: { type: 'boolean', default: false },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'lookout-tests-'));
chmodSync(folder, 0o755); // some tests become another user
// A run within a test belongs to that test.
const run = `${process.env[MARK] ?? ''}${randomUUID().slice(0, 8)}.`;
const guard = spawn(process.execPath, [join(import.meta.dirname, 'runner/guard.ts'), run, folder], {
  detached: true,
  stdio: ['pipe', 'ignore', 'inherit'],
});
guard.unref();
(guard.stdin as Socket).unref();
process.once('exit', () => {
  killRunning();
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]));
}

const seed = wholeNumber('seed');
for (let time = 0; time < wholeNumber('times'); time++) {
  const began = performance.now();
  const results = await runAll(shuffled(chosenFiles(), seed + time), seed + time, wholeNumber('jobs'));
  const failed = printSummary(results, {
    ms: performance.now() - began,
    seed: seed + time,
    left: processesOf(run).map(({ pid, command }) => `${pid} ${command}`),
    durations: values.durations,
  });
  if (failed) process.exitCode = 1;
}

/** For each job runs a file that mostly waits beside one that computes. */
async function runAll(files: string[], seed: number, jobs: number): Promise<FileResult[]> {
  const results: FileResult[] = [];
  const queueOf = (waits: boolean) =>
    [...files.entries()].filter(([, file]) => WAITING.has(kindOf(file)) === waits).values();
  const [waiting, computing] = [queueOf(true), queueOf(false)];
  const work = async (queue: Iterable<[number, string]>) => {
    for (const [index, file] of queue) {
      const limitMs = LIMITS[kindOf(file)];
      const mark = `${run}${index}.`;
      const result = await runFile({ file, limitMs, seed, name: values.name, folder, mark });
      printFile(result);
      results.push(result);
    }
  };
  const workers = Array.from({ length: 2 * jobs }, async (_, number) => {
    if (number < jobs) await work(waiting);
    await work(computing);
  });
  await Promise.all(workers);
  return results;
}

/** The files that were asked for; without a word all of them. */
function chosenFiles(): string[] {
  const words = positionals.length === 0 ? KINDS : positionals;
  const files = words.flatMap((word) => {
    const path = (KINDS as string[]).includes(word) ? join('test', word) : word;
    const folder = statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory();
    return globSync(folder ? join(path, '**/*.test.ts') : path, { cwd: root });
  });
  if (files.length === 0) throw new Error(`no test file: ${words.join(' ')}`);
  return [...new Set(files.map((file) => relative(root, join(root, file))))].sort();
}

/** The files in random order within their kinds, the slow kinds first, so that the last ones end together. */
function shuffled(files: string[], seed: number): string[] {
  const random = new Seeded(seed);
  const keyed = files.map((file) => ({ file, kind: KINDS.indexOf(kindOf(file)), key: random.next() }));
  return keyed.sort((a, b) => a.kind - b.kind || a.key - b.key).map(({ file }) => file);
}

function kindOf(file: string): Kind {
  const kind = KINDS.find((kind) => file.startsWith(join('test', kind)));
  if (!kind) throw new Error(`${file} is in none of test/${KINDS.join(', test/')}`);
  return kind;
}

function wholeNumber(option: 'seed' | 'jobs' | 'times'): number {
  const number = Number(values[option]);
  if (!Number.isInteger(number) || number < 0) throw new Error(`--${option} must be a whole number`);
  return number;
}
