import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';

/** The program as it is installed with LOOKOUT_TEST_BUILT=1 (after `npm run build`), else its source. */
const program =
  process.env.LOOKOUT_TEST_BUILT === '1'
    ? [new URL('../../scripts/daemon', import.meta.url).pathname]
    : [process.execPath, new URL('../../src/cli.ts', import.meta.url).pathname];

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Milliseconds from the request to the exit. */
  after: number;
}

/** One line of the daemon's JSON log. */
export interface LogLine {
  level: string;
  msg: string;
  camera?: string;
  event?: { id: string; type: string; label: string };
  [key: string]: unknown;
}

export { tempFolder } from './folder.ts';

/** A real daemon in a process of its own, with its log read line by line. */
export class DaemonProcess {
  readonly child: ChildProcess;
  readonly log: LogLine[] = [];
  readonly stderr: string[] = [];
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #watchers = new Set<() => void>();

  /** @param config settings, written to a file in `folder`; null runs the embedded defaults there */
  constructor(config: object | null, folder: string, env: NodeJS.ProcessEnv = {}) {
    const file = join(folder, 'lookout.yaml');
    if (config) writeFileSync(file, stringify(config));
    const [command, ...args] = [...program, 'run', ...(config ? ['--config', file] : [])];
    this.child = spawn(command!, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.log.push(JSON.parse(line) as LogLine);
      for (const watcher of this.#watchers) watcher();
    });
    createInterface({ input: this.child.stderr! }).on('line', (line) => this.stderr.push(line));
    this.exited = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        resolve({ code, signal });
        for (const watcher of this.#watchers) watcher();
      });
    });
  }

  /** Resolves with the first log line, past or future, that the predicate takes. */
  line(predicate: (line: LogLine) => boolean, timeoutMs = 30_000): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.log.find(predicate);
        const over = !found && (this.child.exitCode !== null || this.child.signalCode !== null);
        if (!found && !over) return;
        finish();
        if (found) resolve(found);
        else reject(new Error(`the daemon ended first: ${this.#story()}`));
      };
      const timer = setTimeout(() => {
        finish();
        reject(new Error(`no such log line in ${timeoutMs} ms: ${this.#story()}`));
      }, timeoutMs);
      const finish = () => {
        clearTimeout(timer);
        this.#watchers.delete(look);
      };
      this.#watchers.add(look);
      look();
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    const start = performance.now();
    this.child.kill(signal);
    const exit = await this.exited;
    return { ...exit, after: performance.now() - start };
  }

  #story(): string {
    return [...this.log.slice(-20).map((line) => `${line.level} ${line.msg}`), ...this.stderr].join('\n');
  }
}
