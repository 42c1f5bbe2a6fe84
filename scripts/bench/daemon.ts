/** The daemon as a process of its own, started as a user does, and looked at from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openDatabase } from '../../src/store/sqlite.ts';

const LAUNCHER = new URL('../daemon', import.meta.url).pathname;
const FIRST = 'first picture classified';
const MS_PER_TICK = 10;
const PATIENCE_MS = 60_000;

export interface Sample {
  at: number;
  frames_analysed: number;
}

export class DaemonProcess {
  /** Milliseconds from the start of the process to the first classified picture. */
  readonly first: Promise<number>;
  readonly #child: ChildProcess;
  readonly #data: string;
  readonly #exited: Promise<unknown>;

  /** @param config as `writeConfig` made it; the data folder is emptied first */
  constructor(config: string, env: NodeJS.ProcessEnv = {}) {
    this.#data = config.replace(/\.yaml$/, '');
    rmSync(this.#data, { recursive: true, force: true });
    const began = performance.now();
    const child = spawn(LAUNCHER, ['run', '--config', config], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    this.#child = child;
    this.#exited = once(child, 'exit');
    this.first = new Promise((resolve, reject) => {
      let text = '';
      child.stdout!.setEncoding('utf8').on('data', (piece: string) => {
        if (text.includes(FIRST)) return;
        text += piece;
        if (text.includes(FIRST)) resolve(performance.now() - began);
      });
      const refuse = (why: string) => reject(new Error(`the daemon ${why}:\n${text}`));
      child.once('exit', (code) => refuse(`ended with exit code ${code}`));
      setTimeout(() => refuse('classified nothing'), PATIENCE_MS).unref();
    });
    this.first.catch(() => {});
  }

  /** Resident memory, MB. */
  get rssMb(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(this.#read('status'))?.[1]) / 1024;
  }

  /** Processor time of this process without its camera programs, ms. */
  get cpuMs(): number {
    const stat = this.#read('stat');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  }

  /** Bytes that it has caused to be written to disk; the last known once it has ended. */
  get bytesWritten(): number {
    return Number(/^write_bytes: (\d+)$/m.exec(this.#read('io'))?.[1]);
  }

  /** Asks it to stop. @returns milliseconds until it has ended */
  async stop(watch: () => void = () => {}): Promise<number> {
    const began = performance.now();
    const timer = setInterval(watch, 5);
    this.#child.kill('SIGTERM');
    await this.#exited;
    clearInterval(timer);
    if (this.#child.exitCode !== 0)
      throw new Error(`the daemon ended with exit code ${this.#child.exitCode}`);
    return performance.now() - began;
  }

  /** Answers one question about its log. */
  query(sql: string): unknown[] {
    const db = openDatabase(join(this.#data, 'lookout.db'), { readonly: true });
    try {
      return db.prepare(sql).all();
    } finally {
      db.close();
    }
  }

  /** Its health samples, oldest first. */
  samples(): Sample[] {
    return this.query('SELECT at, frames_analysed FROM samples ORDER BY at') as Sample[];
  }

  #read(file: string): string {
    return readFileSync(`/proc/${this.#child.pid}/${file}`, 'utf8');
  }
}

/** Runs a daemon for so many seconds after its first picture. @returns frames per second, the first second left out */
export async function framesPerSecond(config: string, seconds: number): Promise<number> {
  const daemon = new DaemonProcess(config);
  await daemon.first;
  await delay(1000 * (seconds + 2));
  await daemon.stop();
  const samples = daemon.samples();
  const [from, to] = [samples[1], samples.at(-1)];
  if (!from || !to || to.at <= from.at) throw new Error('the daemon has written no samples');
  return (1000 * (to.frames_analysed - from.frames_analysed)) / (to.at - from.at);
}
