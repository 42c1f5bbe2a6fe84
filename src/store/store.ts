/**
 * The store on the main thread: passes everything to the store thread, so that nothing here waits for the disk.
 */
import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { HealthSample } from '../board/health.ts';
import { readBytesWritten } from '../board/usage.ts';
import type { StoreConfig } from '../config/schema.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { RpcClient } from '../runtime/rpc.ts';
import { recordStage } from '../runtime/stage-times.ts';
import { TimeJudge } from '../runtime/time-judge.ts';
import { startWorker } from '../runtime/worker-thread.ts';
import type { Detection, EventChange, Service } from '../types.ts';
import type { WorkerOptions } from './store-thread.ts';
import type {
  AnnouncedChanges,
  Batch,
  Choice,
  ChoiceChanges,
  CommitResult,
  LeftOpen,
  LoggedFault,
  LoggedInfo,
  OutboxMessage,
  SavedSnapshot,
  SnapshotRequest,
  StoreStats,
  WaitingMessage,
  WorkerApi,
  WorkerStats,
} from './store-types.ts';
import { type ThrottleLevel, WriteBudget } from './write-budget.ts';
import { WriteQueue } from './write-queue.ts';

const MAINTENANCE_MS = 3_600_000;
const BACKUP_MS = 600_000;
const BUDGET_MS = 10_000;

/** How long a start waits for a locked database, and between two attempts, in ms. */
const BUSY_WAIT_MS = 60_000;
const BUSY_PAUSE_MS = 500;

/** By throttle level: for how many intervals detections are collected, and the text for log and health. */
const THROTTLE: Record<ThrottleLevel, { intervals: number; text: string | null }> = {
  0: { intervals: 1, text: null },
  1: { intervals: 2, text: 'detections are written less often' },
  2: { intervals: 5, text: 'detections are written much less often' },
  3: { intervals: 5, text: 'detections and snapshots are not kept' },
};

/** Shortest time between two maintenance runs for a database over its size limit, in ms. */
const OVER_SIZE_PAUSE_MS = 60_000;

export interface StoreOptions {
  /** The database; its folder is created. */
  file: string;
  /** Folder of the JPEG files. */
  snapshots: string;
  config: StoreConfig;
  clock: Clock;
  log: Logger;
  /** Judges the clock; by default the store creates its own. */
  judge?: TimeJudge;
  /** Cancels a start that waits for the database. */
  signal?: AbortSignal;
}

/** A running store thread. */
interface Thread {
  worker: Worker;
  rpc: RpcClient<WorkerApi>;
  exited: Promise<void>;
}

const NOTHING_YET: WorkerStats = {
  outboxDepth: 0,
  outboxBytes: 0,
  outboxDropped: 0,
  events: 0,
  detections: 0,
  databaseBytes: 0,
  snapshotBytes: 0,
  bytesWritten: null,
  damage: null,
};

export class Store implements Service {
  readonly #options: StoreOptions;
  readonly #queue: WriteQueue;
  #thread: Promise<Thread> | null = null;
  #lastStats = NOTHING_YET;
  #maintenance: Promise<void> | null = null;
  #maintainAgain = false;
  #lastMaintenance = 0;
  #cancelMaintenance: () => void = () => {};
  #cancelBackups: () => void = () => {};
  #cancelBudget: () => void = () => {};
  readonly #judge: TimeJudge;
  readonly #budget: WriteBudget;
  #written: number | null = null;
  #throttle: ThrottleLevel = 0;
  /** Activities whose failure is logged, until they work again. */
  readonly #faults = new Set<string>();
  #stopping = false;
  #stopped: Promise<void> | null = null;

  constructor(options: StoreOptions) {
    this.#options = options;
    const { clock, log, config, judge = new TimeJudge({ clock, log }) } = options;
    this.#judge = judge;
    judge.onKnown = () => {
      if (!this.#stopping) this.#maintain();
    };
    this.#budget = new WriteBudget(config.max_writes_per_day * 1_000_000, clock);
    this.#queue = new WriteQueue({
      commit: (batch) => this.#commit(batch),
      interval: config.commit_interval * 1000,
      clock,
      log,
    });
  }

  /**
   * Opens the database; waits if another program has locked it.
   * @throws LookoutError STORE_UNWRITABLE, STORE_LOCKED, STORE_BUSY or STORE_TOO_NEW
   */
  async start(): Promise<void> {
    await this.#opened();
    this.#queue.start();
    this.#cancelMaintenance = this.#options.clock.every(MAINTENANCE_MS, () => this.#maintain());
    this.#cancelBackups = this.#options.clock.every(BACKUP_MS, () => void this.#backUp());
    this.#cancelBudget = this.#options.clock.every(BUDGET_MS, () => void this.#updateThrottle());
    this.#maintain();
  }

  /** Writes everything pending and closes the database. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /**
   * Records a step of an event together with its messages.
   * @returns resolves with true when both are on the disk, with false if they were given up; never rejects
   */
  recordEvent(change: EventChange, messages: OutboxMessage[]): Promise<boolean> {
    const recordedAt = this.#options.clock.now();
    return this.#queue.addEvent({ change, messages, recordedAt, ...this.#judge.stamp(recordedAt) });
  }

  /** Writes everything pending; resolves when it is on the disk, or when the attempt has failed. */
  flush(): Promise<void> {
    return this.#queue.flush();
  }

  recordDetections(detections: readonly Detection[]): void {
    if (this.#throttle >= 3) return;
    const stamp = this.#judge.stamp(detections[0]?.capturedAt ?? 0);
    this.#queue.addDetections(detections.map((detection) => ({ ...detection, ...stamp })));
  }

  recordSample(sample: HealthSample): void {
    this.#queue.addSample({ ...sample, ...this.#judge.stamp(sample.at) });
  }

  /**
   * Encodes an image as JPEG and keeps it as a file.
   * @param request its `data` is transferred, and returned in the result
   * @throws Error if the data does not fit its format, or the store thread has ended; the buffer is then lost
   */
  async saveSnapshot(request: SnapshotRequest): Promise<SavedSnapshot> {
    const { rpc } = await this.#running();
    const keep = this.#throttle < 3;
    const stamped = { ...request, ...this.#judge.stamp(request.capturedAt), keep };
    const { fault, jpeg, data } = await rpc.call('snapshot', [stamped], [request.data]);
    if (keep)
      this.#reportFault('writing snapshots', fault && new LookoutError(fault.code, fault.fault, fault));
    return { jpeg, data, written: keep && fault === null };
  }

  /** Events without an end, oldest first; at the start, those that a crash left open. */
  async leftOpen(): Promise<LeftOpen[]> {
    const { rpc } = await this.#running();
    return rpc.call('leftOpen', []);
  }

  /** Waiting messages with a higher id, oldest first; none while the database cannot be read. */
  async outbox(afterId: number, limit: number): Promise<WaitingMessage[]> {
    try {
      const { rpc } = await this.#running();
      const rows = await rpc.call('outbox', [afterId, limit]);
      this.#reportFault('reading the outbox', null);
      return rows.map(({ createdAt, clock, ...row }) => ({
        ...row,
        recordedAt: this.#judge.monotonic(createdAt, clock),
      }));
    } catch (error) {
      this.#reportFault('reading the outbox', error);
      return [];
    }
  }

  /**
   * Marks messages up to this id as published. They are deleted with the next transaction.
   * @param undeliverable how many of them the broker does not accept in any form
   */
  published(upToId: number, undeliverable = 0): void {
    this.#queue.addPublished(upToId, undeliverable);
  }

  /**
   * Settings that were changed at runtime.
   * @throws Error if the database cannot be read
   */
  async choices(): Promise<Choice[]> {
    const { rpc } = await this.#running();
    return rpc.call('choices', []);
  }

  /**
   * Keeps and deletes choices; resolves when the changes are on the disk.
   * @throws LookoutError STORE_* if they cannot be written
   */
  async choose(changes: ChoiceChanges): Promise<void> {
    const { rpc } = await this.#running();
    await rpc.call('choose', [changes]);
  }

  /**
   * Retained topics that this device has published on a broker.
   * @param broker its URL
   * @throws Error if the database cannot be read
   */
  async announced(broker: string): Promise<string[]> {
    const { rpc } = await this.#running();
    return rpc.call('announced', [broker]);
  }

  /** @throws LookoutError STORE_* if the changes cannot be written */
  async announce(changes: AnnouncedChanges): Promise<void> {
    const { rpc } = await this.#running();
    await rpc.call('announce', [changes]);
  }

  /** Figures of the store; the last known ones while the database cannot be read. */
  async stats(): Promise<StoreStats> {
    try {
      const { rpc } = await this.#running();
      this.#lastStats = await rpc.call('stats', []);
    } catch (error) {
      this.#options.log.debug({ err: error }, 'database cannot be read');
    }
    const { waiting, lost, error } = this.#queue;
    const { text } = THROTTLE[this.#throttle];
    return { ...this.#lastStats, waiting, lost, error, throttled: text };
  }

  async #stop(): Promise<void> {
    this.#cancelMaintenance();
    this.#cancelBackups();
    this.#cancelBudget();
    await this.#queue.stop();
    this.#stopping = true;
    const thread = await this.#thread?.catch(() => null);
    if (!thread) return;
    await thread.rpc.call('close', [this.#judge.now()]).catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'database was not closed cleanly');
    });
    await thread.exited;
    await this.#maintenance;
  }

  async #commit(batch: Omit<Batch, 'clocks'>): Promise<CommitResult> {
    const { rpc } = await this.#running();
    const began = performance.now();
    const result = await rpc.call('commit', [{ ...batch, clocks: this.#judge.settings }]);
    recordStage('store', performance.now() - began);
    const now = this.#options.clock.monotonic();
    if (result.overSize && now - this.#lastMaintenance > OVER_SIZE_PAUSE_MS) this.#maintain();
    return result;
  }

  /** Throttles writing when too much was written for a day. */
  async #updateThrottle(): Promise<void> {
    const written = await readBytesWritten();
    if (written === null) return;
    const before = this.#throttle;
    this.#throttle = this.#budget.spend(written - (this.#written ?? 0));
    this.#written = written;
    if (this.#throttle === before) return;
    const { intervals, text } = THROTTLE[this.#throttle];
    this.#queue.setIntervalFactor(intervals);
    const { log, config } = this.#options;
    const budget = `the daily write budget of ${config.max_writes_per_day} MB (store.max_writes_per_day)`;
    if (this.#throttle > before) log.warn({ code: 'STORE_BUDGET' }, `${budget} is running out; ${text}`);
    else log.info(`${budget} is recovering; ${text ?? 'everything is written again'}`);
  }

  async #backUp(): Promise<void> {
    try {
      const { rpc } = await this.#running();
      await rpc.call('backup', [this.#judge.now()]);
      this.#reportFault('backing up the database', null);
    } catch (error) {
      if (!this.#stopping) this.#reportFault('backing up the database', error);
    }
  }

  /** Starts maintenance, or repeats it if a run is in progress. */
  #maintain(): void {
    const { clock, log } = this.#options;
    this.#lastMaintenance = clock.monotonic();
    if (this.#maintenance) {
      this.#maintainAgain = true;
      return;
    }
    this.#maintenance = this.#running()
      .then(async ({ rpc }) => {
        // Pending entries may have times that are corrected now.
        await this.#queue.flush();
        return rpc.call('maintain', [this.#judge.time()]);
      })
      .then(({ corrected, ...deleted }) => {
        this.#reportFault('deleting old entries', null);
        if (corrected > 0)
          log.info({ corrected }, 'corrected the times of entries that were recorded with a wrong clock');
        if (Object.values(deleted).some((count) => count > 0)) log.info({ deleted }, 'deleted old entries');
      })
      .catch((error: unknown) => {
        if (!this.#stopping) this.#reportFault('deleting old entries', error);
      })
      .finally(() => {
        this.#maintenance = null;
        if (this.#maintainAgain && !this.#stopping) this.#maintain();
        this.#maintainAgain = false;
      });
  }

  /** Logs once that an activity fails, and once that it works again. */
  #reportFault(activity: string, fault: unknown): void {
    const { log } = this.#options;
    if (fault === null) {
      if (this.#faults.delete(activity)) log.info(`${activity} works again`);
    } else if (!this.#faults.has(activity)) {
      this.#faults.add(activity);
      const { code, hint } = fault as Partial<LookoutError>;
      log.error({ code, hint }, `${activity} failed: ${messageOf(fault)}`);
    }
  }

  /** Waits until the store thread has opened its database. */
  async #opened(): Promise<void> {
    const { clock, log, signal = new AbortController().signal } = this.#options;
    const giveUpAt = clock.monotonic() + BUSY_WAIT_MS;
    for (let logged = false; ; logged = true) {
      try {
        await this.#running();
        return;
      } catch (error) {
        const busy = error instanceof LookoutError && error.code === 'STORE_BUSY';
        if (!busy || signal.aborted || clock.monotonic() >= giveUpAt) throw error;
        if (!logged)
          log.warn({ code: error.code }, `${error.message}; waiting for up to ${BUSY_WAIT_MS / 1000} s`);
        await sleep(clock, BUSY_PAUSE_MS, signal);
      }
    }
  }

  /** The running store thread; a thread that has died is replaced. */
  #running(): Promise<Thread> {
    if (this.#stopping) return Promise.reject(new LookoutError('INTERNAL', 'the store has stopped'));
    this.#thread ??= this.#spawn().catch((error: unknown) => {
      this.#thread = null;
      throw error;
    });
    return this.#thread;
  }

  async #spawn(): Promise<Thread> {
    const { file, snapshots, config, log } = this.#options;
    const workerData: WorkerOptions = { file, snapshots, config };
    const worker = startWorker(import.meta.url, './store-thread', { workerData, name: 'store' });
    const rpc = new RpcClient<WorkerApi>((message, transfer) => worker.postMessage(message, transfer));
    worker.on('message', (message: unknown) => {
      if (rpc.receive(message)) return;
      const line = message as LoggedFault | LoggedInfo;
      if ('info' in line) {
        log.info(line.info);
        return;
      }
      const { code, fault, hint } = line;
      log.error({ err: new LookoutError(code, fault, { hint }) }, fault);
    });
    worker.on('error', (error) => log.error({ err: error }, 'store thread failed'));
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        rpc.close(new LookoutError('INTERNAL', 'the store thread has ended'));
        if (!this.#stopping) this.#thread = null;
        resolve();
      });
    });
    try {
      const history = await rpc.call('open', []);
      if (this.#judge.settings.length === 0) this.#judge.begin(history);
    } catch (error) {
      await rpc.call('close', [null]).catch(() => {});
      await exited;
      throw error;
    }
    return { worker, rpc, exited };
  }
}
