/** The daemon as a process of its own, started as a user does, and looked at from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connectAsync, type MqttClient } from 'mqtt';
import { openDatabase } from '../../src/store/sqlite.ts';
import { deviceOf } from './settings.ts';

const LAUNCHER = new URL('../daemon', import.meta.url).pathname;
/** Older checkouts, which a paired run measures too, call a frame a picture. */
const FIRST = /first (frame|picture) classified/;
const PATIENCE_MS = 60_000;

/** What is used of a health message. */
interface Sample {
  at: string;
  frames_analysed: number;
  /** Processor time of the daemon when the message came, ms. */
  cpuMs: number;
}

/** What a daemon did in a stretch of time. */
interface Done {
  fps: number;
  /** Processor time of the daemon for each analysed frame. */
  cpuMs: number;
}

export class DaemonProcess {
  /** Milliseconds from the start of the process to the first classified picture. */
  readonly first: Promise<number>;
  readonly #child: ChildProcess;
  readonly #data: string;
  readonly #exited: Promise<unknown>;

  /**
   * @param config as `writeConfig` made it
   * @param fresh whether the data folder is emptied first
   */
  constructor(config: string, env: NodeJS.ProcessEnv = {}, { fresh } = { fresh: true }) {
    this.#data = config.replace(/\.yaml$/, '');
    if (fresh) rmSync(this.#data, { recursive: true, force: true });
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
        if (FIRST.test(text)) return;
        text += piece;
        if (FIRST.test(text)) resolve(performance.now() - began);
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
    const threads = readdirSync(`/proc/${this.#child.pid}/task`);
    const times = threads.map((id) => Number(this.#read(`task/${id}/schedstat`).split(' ')[0]));
    return times.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e6;
  }

  /** How it runs: the program, its flags and its environment, to run another script in the same way. */
  get command(): { program: string; flags: string[]; env: NodeJS.ProcessEnv } {
    const [program, ...args] = this.#read('cmdline').split('\0');
    const env = this.#read('environ').split('\0').filter(Boolean);
    return {
      program: program!,
      flags: args.slice(
        0,
        args.findIndex((arg) => !arg.startsWith('-')),
      ),
      env: Object.fromEntries(env.map((entry) => entry.split(/=(.*)/s).slice(0, 2))),
    };
  }

  /** Bytes that it has caused to be written to disk; the last known once it has ended. */
  get bytesWritten(): number {
    return Number(/^write_bytes: (\d+)$/m.exec(this.#read('io'))?.[1]);
  }

  /** Takes the processor from it. */
  halt(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
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

  /** Frames that it had analysed by the last health sample in its log. */
  get framesAnalysed(): number {
    const sql = 'SELECT frames_analysed AS count FROM samples ORDER BY at DESC LIMIT 1';
    return (this.query(sql) as { count: number }[])[0]?.count ?? 0;
  }

  /** Frames that the model looked at, a second: between the second health sample in its log and the last. */
  get analysedPerSecond(): number {
    const samples = this.query('SELECT at, frames_analysed AS count FROM samples ORDER BY at') as {
      at: number;
      count: number;
    }[];
    const [from, to] = [samples[1]!, samples.at(-1)!];
    return (1000 * (to.count - from.count)) / (to.at - from.at);
  }

  #read(file: string): string {
    return readFileSync(`/proc/${this.#child.pid}/${file}`, 'utf8');
  }
}

/** Seconds after which code is compiled and caches are filled. */
const WARM_UP_SECONDS = 8;

/** A daemon that is warm, and halted whenever it is not measured: what it is held against has the machine for itself. */
export class WarmDaemon {
  readonly #daemon: DaemonProcess;
  readonly #client: MqttClient;
  #samples: Sample[] = [];

  private constructor(daemon: DaemonProcess, client: MqttClient) {
    this.#daemon = daemon;
    this.#client = client;
    client.on('message', (_topic, payload, { retain }) => {
      if (!retain) this.#samples.push({ ...JSON.parse(payload.toString()), cpuMs: daemon.cpuMs } as Sample);
    });
  }

  /**
   * @param broker its address
   * @param config as `writeConfig` made it; each has its own name
   */
  static async start(broker: string, config: string): Promise<WarmDaemon> {
    const client = await connectAsync(broker);
    const daemon = new DaemonProcess(config);
    const warm = new WarmDaemon(daemon, client);
    await client.subscribeAsync(`lookout/${deviceOf(config)}/health`);
    await daemon.first;
    await delay(1000 * WARM_UP_SECONDS);
    daemon.halt();
    return warm;
  }

  /** Lets it run for so many seconds, and a moment before. */
  async measure(seconds: number): Promise<Done> {
    this.#samples = [];
    this.#daemon.resume();
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      await delay(50);
      const done = between(this.#samples, seconds);
      if (done) {
        this.#daemon.halt();
        return done;
      }
      if (performance.now() > deadline) throw new Error('the daemon has not told of its health');
    }
  }

  async stop(): Promise<void> {
    this.#daemon.resume();
    await this.#daemon.stop();
    await this.#client.endAsync();
  }
}

/** What was done between the second sample and the last; null: that is less than `seconds`. */
function between([, from, ...more]: readonly Sample[], seconds: number): Done | null {
  const to = more.at(-1);
  const span = from && to ? (Date.parse(to.at) - Date.parse(from.at)) / 1000 : 0;
  if (!from || !to || span < seconds - 0.1) return null;
  const frames = to.frames_analysed - from.frames_analysed;
  return { fps: frames / span, cpuMs: (to.cpuMs - from.cpuMs) / frames };
}
