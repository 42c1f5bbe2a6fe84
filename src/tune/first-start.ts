/**
 * Tuning before the daemon starts. `lookout tune` runs in its own process, so that it leaves nothing in the daemon's
 * memory; a cached result is used without measuring.
 */
import { spawn } from 'node:child_process';
import type { Logger } from 'pino';
import type { LoadedConfig } from '../config/load-config.ts';
import { notify } from '../runtime/systemd.ts';

/** The used part of the output of `lookout tune --json`. */
interface Printed {
  choice: { threads: number; sessions: number; spinning: boolean; lines: string[] };
  cached: boolean;
}

/** Time after which tuning stops measuring, and after which it is killed: the cameras wait for it. */
const ENOUGH_SECONDS = 200;
const LONGEST_MS = 300_000;
/** Extension of systemd's start timeout during tuning, ms. */
const PATIENCE_MS = 30_000;

/** Applies the result to a configuration. */
export type Tuning = (loaded: LoadedConfig) => LoadedConfig;

/**
 * Finds the best threads and sessions for a configuration on this board. If that fails, the configuration stays
 * unchanged and the reason is logged, so that the cameras start anyway.
 * @param signal ends the tuning
 * @param cli the program itself; for tests
 */
export async function findTuning(
  loaded: LoadedConfig,
  { log, signal, cli = process.argv[1]! }: { log: Logger; signal: AbortSignal; cli?: string },
): Promise<Tuning> {
  log.info('tuning: looking up the best settings for this board, or measuring them if they are not cached');
  const patience = setInterval(() => void askForPatience(), PATIENCE_MS / 2).unref();
  void askForPatience();
  try {
    const { min_idle } = loaded.config.tune;
    const file = loaded.file === null ? [] : ['--config', loaded.file];
    const goal = ['--min-idle', String(min_idle), '--within', `${ENOUGH_SECONDS}s`];
    const args = [cli, 'tune', ...file, ...goal, '--dry-run', '--json'];
    const { choice, cached } = JSON.parse(await output(args, signal)) as Printed;
    const { threads, sessions, spinning, lines } = choice;
    for (const line of lines) log.info(`tuning${cached ? ' (cached)' : ''}: ${line}`);
    return (found) => {
      const model = Object.freeze({ ...found.config.model, threads, sessions, spinning });
      return { ...found, config: Object.freeze({ ...found.config, model }) };
    };
  } catch (error) {
    if (!signal.aborted) log.warn({ err: error }, 'tuning failed; starting with the configured settings');
    return (found) => found;
  } finally {
    clearInterval(patience);
  }
}

function askForPatience(): Promise<void> {
  return notify(
    `EXTEND_TIMEOUT_USEC=${PATIENCE_MS * 1000}`,
    'STATUS=measuring the best model settings for this board',
  );
}

/** Runs `lookout` and returns its standard output. @throws Error with its last line on standard error if it fails */
function output(args: readonly string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LONGEST_MS,
      signal,
      killSignal: 'SIGTERM',
    });
    let printed = '';
    let words = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-2000);
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(printed);
      else reject(new Error(words.trim().split('\n').at(-1) || `it ended with exit code ${code}`));
    });
  });
}
