/**
 * Tuning before the daemon starts. `lookout tune` does it in a process of its own, so that nothing of it stays in the
 * daemon's memory; what it found the last time is taken over without measuring.
 */
import { spawn } from 'node:child_process';
import type { Logger } from 'pino';
import type { LoadedConfig } from '../config/load-config.ts';
import { notify } from '../runtime/systemd.ts';

/** What `lookout tune --json` prints, as far as it counts here. */
interface Printed {
  choice: { threads: number; sessions: number; spinning: boolean; lines: string[] };
  cached: boolean;
}

/** After this long it measures nothing more, after this long it is ended: the cameras wait for it. */
const ENOUGH_SECONDS = 200;
const LONGEST_MS = 300_000;
/** How often systemd is asked for patience meanwhile, ms. */
const PATIENCE_MS = 30_000;

/** Puts what was found into a configuration. */
export type Tuning = (loaded: LoadedConfig) => LoadedConfig;

/**
 * Finds the threads and sessions that serve a configuration best here. If they cannot be found, it stays as it is and
 * the log says why: no camera should stay dark for it.
 * @param signal ends the tuning
 * @param cli the program itself; for tests
 */
export async function findTuning(
  loaded: LoadedConfig,
  { log, signal, cli = process.argv[1]! }: { log: Logger; signal: AbortSignal; cli?: string },
): Promise<Tuning> {
  log.info('tuning: how this board runs the model best is looked up, or measured if that is not known yet');
  const patience = setInterval(() => void askForPatience(), PATIENCE_MS / 2).unref();
  void askForPatience();
  try {
    const { min_idle } = loaded.config.tune;
    const file = loaded.file === null ? [] : ['--config', loaded.file];
    const goal = ['--min-idle', String(min_idle), '--within', `${ENOUGH_SECONDS}s`];
    const args = [cli, 'tune', ...file, ...goal, '--dry-run', '--json'];
    const { choice, cached } = JSON.parse(await output(args, signal)) as Printed;
    const { threads, sessions, spinning, lines } = choice;
    for (const line of lines) log.info(`tuning${cached ? ', as measured before' : ''}: ${line}`);
    return (found) => {
      const model = Object.freeze({ ...found.config.model, threads, sessions, spinning });
      return { ...found, config: Object.freeze({ ...found.config, model }) };
    };
  } catch (error) {
    if (!signal.aborted)
      log.warn({ err: error }, 'tuning failed; Lookout starts with the settings as they are');
    return (found) => found;
  } finally {
    clearInterval(patience);
  }
}

function askForPatience(): Promise<void> {
  return notify(
    `EXTEND_TIMEOUT_USEC=${PATIENCE_MS * 1000}`,
    'STATUS=measuring how this board runs the model best',
  );
}

/** What a program of this kind prints. @throws Error with its last words if it fails */
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
