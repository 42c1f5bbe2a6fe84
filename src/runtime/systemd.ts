/**
 * Messages to the service manager: its states and the watchdog. See sd_notify(3).
 * Node has no unix datagram sockets, so `systemd-notify` sends them; the unit has NotifyAccess=all.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Service } from '../types.ts';
import type { Clock } from './clock.ts';

const TIMEOUT_MS = 5000;

let queue: Promise<void> = Promise.resolve();
let failed = false;

/**
 * Tells systemd `READY=1`, `STOPPING=1`, `STATUS=…` or `WATCHDOG=1`; does nothing where no systemd listens.
 * Resolves when systemd has it, in the order of the calls. Never rejects: the first failure is a process warning.
 */
export function notify(...assignments: string[]): Promise<void> {
  if (!process.env.NOTIFY_SOCKET) return Promise.resolve();
  queue = queue.then(() => send(assignments));
  return queue;
}

async function send(assignments: string[]): Promise<void> {
  const lines = assignments.map((assignment) => assignment.replaceAll('\n', ' '));
  try {
    await promisify(execFile)('systemd-notify', lines, { timeout: TIMEOUT_MS });
  } catch (error) {
    if (!failed)
      process.emitWarning(`systemd was not told ${lines[0]}: ${messageOf(error)}`, 'LookoutWarning');
    failed = true;
  }
}

export interface WatchdogOptions {
  clock: Clock;
  log: Logger;
  /** Counts work that was finished; any change is a sign of life. */
  progress: () => number;
  /** Whether there is nothing that should have made progress: no camera runs, or no frame waits. */
  idle: () => boolean;
  env?: NodeJS.ProcessEnv;
  feed?: () => Promise<void>;
}

/**
 * Feeds systemd's watchdog as long as the pipeline makes progress, so that a daemon that is alive but has ceased to
 * see is restarted. A timer alone proves nothing.
 */
export class Watchdog implements Service {
  /** Half of WatchdogSec, as sd_watchdog_enabled(3) advises; null without a watchdog. */
  readonly intervalMs: number | null;
  readonly #options: WatchdogOptions;
  #seen = Number.NaN;
  #stuck = false;
  #cancel = () => {};

  constructor(options: WatchdogOptions) {
    const { WATCHDOG_USEC, WATCHDOG_PID } = options.env ?? process.env;
    const ours = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid;
    const usec = Number(WATCHDOG_USEC);
    this.intervalMs = ours && usec > 0 ? usec / 2000 : null;
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.intervalMs === null) return;
    this.#cancel = this.#options.clock.every(this.intervalMs, () => this.#look());
  }

  async stop(): Promise<void> {
    this.#cancel();
  }

  #look(): void {
    const { log, progress, idle, feed = () => notify('WATCHDOG=1') } = this.#options;
    const now = progress();
    if (now !== this.#seen || idle()) {
      this.#seen = now;
      this.#stuck = false;
      void feed();
      return;
    }
    if (this.#stuck) return;
    this.#stuck = true;
    log.error(
      `no frame was finished for ${(this.intervalMs ?? 0) / 1000} s; systemd will restart Lookout unless one is`,
    );
  }
}
