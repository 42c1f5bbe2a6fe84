/**
 * The log, as the main thread sees it: everything is handed to the store thread and nothing here waits for the disk.
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
  News,
  Notice,
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

/** How long a start waits for a database that another program has locked, and between two attempts, in ms. */
const BUSY_WAIT_MS = 60_000;
const BUSY_PAUSE_MS = 500;

/** Intervals for which detections are gathered, and what is said of it, by how thrifty the store is. */
const THROTTLE: Record<ThrottleLevel, { intervals: number; text: string | null }> = {
  0: { intervals: 1, text: null },
  1: { intervals: 2, text: 'detections are written less often' },
  2: { intervals: 5, text: 'detections are written much less often' },
  3: { intervals: 5, text: 'detections and pictures are not kept' },
};

/** Shortest time between two clean-ups because the database is over its limit, in ms. */
const OVER_SIZE_PAUSE_MS = 60_000;

export interface StoreOptions {
  /** The database; its folder is created. */
  file: string;
  /** Folder of the JPEG files. */
  snapshots: string;
  config: StoreConfig;
  clock: Clock;
  log: Logger;
  /** Judges the clock; without one the store has its own. */
  judge?: TimeJudge;
  /** Cuts short a start that waits for the database. */
  signal?: AbortSignal;
}

/** The store thread and the calls to it. */
interface Thread {
  worker: Worker;
  caller: RpcClient<WorkerApi>;
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
  #thrift: ThrottleLevel = 0;
  /** What has failed and was said, until it works again. */
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
   * Opens the database; one that another program has locked is waited for.
   * @throws LookoutError STORE_UNWRITABLE, STORE_LOCKED, STORE_BUSY or STORE_TOO_NEW
   */
  async start(): Promise<void> {
    await this.#opened();
    this.#queue.start();
    this.#cancelMaintenance = this.#options.clock.every(MAINTENANCE_MS, () => this.#maintain());
    this.#cancelBackups = this.#options.clock.every(BACKUP_MS, () => void this.#backUp());
    this.#cancelBudget = this.#options.clock.every(BUDGET_MS, () => void this.#spend());
    this.#maintain();
  }

  /** Writes everything that waits and closes the database. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /**
   * Records a step of an event together with the messages that it sends.
   * @returns resolves with true when both are on the disk, with false if they had to be given up; never rejects
   */
  recordEvent(change: EventChange, messages: OutboxMessage[]): Promise<boolean> {
    const recordedAt = this.#options.clock.now();
    return this.#queue.addEvent({ change, messages, recordedAt, ...this.#judge.stamp(recordedAt) });
  }

  /** Writes everything that waits; resolves when it is on the disk, or cannot be written just now. */
  flush(): Promise<void> {
    return this.#queue.flush();
  }

  recordDetections(detections: readonly Detection[]): void {
    if (this.#thrift >= 3) return;
    const stamp = this.#judge.stamp(detections[0]?.capturedAt ?? 0);
    this.#queue.addDetections(detections.map((detection) => ({ ...detection, ...stamp })));
  }

  recordSample(sample: HealthSample): void {
    this.#queue.addSample({ ...sample, ...this.#judge.stamp(sample.at) });
  }

  /**
   * Keeps a picture as a JPEG file.
   * @param request its `data` is transferred, and comes back in the result
   * @throws Error if the picture does not fit its format, or the store thread has ended; the buffer is lost then
   */
  async saveSnapshot(request: SnapshotRequest): Promise<SavedSnapshot> {
    const { caller } = await this.#running();
    const keep = this.#thrift < 3;
    const stamped = { ...request, ...this.#judge.stamp(request.capturedAt), keep };
    const { fault, jpeg, data } = await caller.call('snapshot', [stamped], [request.data]);
    if (keep) this.#heed('writing snapshots', fault && new LookoutError(fault.code, fault.notice, fault));
    return { jpeg, data, written: keep && fault === null };
  }

  /** Events that are not ended, oldest first: at the start, those that a crash left open. */
  async leftOpen(): Promise<LeftOpen[]> {
    const { caller } = await this.#running();
    return caller.call('leftOpen', []);
  }

  /** Waiting messages with a greater id, oldest first; none while the database cannot be read. */
  async outbox(afterId: number, limit: number): Promise<WaitingMessage[]> {
    try {
      const { caller } = await this.#running();
      const rows = await caller.call('outbox', [afterId, limit]);
      this.#heed('reading the outbox', null);
      return rows.map(({ createdAt, clock, ...row }) => ({
        ...row,
        recordedAt: this.#judge.monotonic(createdAt, clock),
      }));
    } catch (error) {
      this.#heed('reading the outbox', error);
      return [];
    }
  }

  /**
   * Messages up to this id have reached the broker. They are deleted with the next transaction.
   * @param undeliverable how many of them the broker does not take in any form
   */
  published(upToId: number, undeliverable = 0): void {
    this.#queue.addPublished(upToId, undeliverable);
  }

  /**
   * What was chosen while Lookout ran.
   * @throws Error when the database cannot be read
   */
  async choices(): Promise<Choice[]> {
    const { caller } = await this.#running();
    return caller.call('choices', []);
  }

  /**
   * Keeps and forgets choices; they are on the disk when this resolves.
   * @throws LookoutError STORE_* when they cannot be written
   */
  async choose(changes: ChoiceChanges): Promise<void> {
    const { caller } = await this.#running();
    await caller.call('choose', [changes]);
  }

  /**
   * Retained topics that this device has published on a broker, by the broker's address.
   * @throws Error when the database cannot be read
   */
  async announced(broker: string): Promise<string[]> {
    const { caller } = await this.#running();
    return caller.call('announced', [broker]);
  }

  /** @throws LookoutError STORE_* when the changes cannot be written */
  async announce(changes: AnnouncedChanges): Promise<void> {
    const { caller } = await this.#running();
    await caller.call('announce', [changes]);
  }

  /** What is in the store; the last known figures while the database cannot be read. */
  async stats(): Promise<StoreStats> {
    try {
      const { caller } = await this.#running();
      this.#lastStats = await caller.call('stats', []);
    } catch (error) {
      this.#options.log.debug({ err: error }, 'database cannot be read');
    }
    const { waiting, lost, error } = this.#queue;
    const { text } = THROTTLE[this.#thrift];
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
    await thread.caller.call('close', [this.#judge.now()]).catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'database was not closed cleanly');
    });
    await thread.exited;
    await this.#maintenance;
  }

  async #commit(batch: Omit<Batch, 'clocks'>): Promise<CommitResult> {
    const { caller } = await this.#running();
    const began = performance.now();
    const result = await caller.call('commit', [{ ...batch, clocks: this.#judge.settings }]);
    recordStage('store', performance.now() - began);
    const now = this.#options.clock.monotonic();
    if (result.overSize && now - this.#lastMaintenance > OVER_SIZE_PAUSE_MS) this.#maintain();
    return result;
  }

  /** Looks at what was written, and writes less when it is too much for a day. */
  async #spend(): Promise<void> {
    const written = await readBytesWritten();
    if (written === null) return;
    const before = this.#thrift;
    this.#thrift = this.#budget.spend(written - (this.#written ?? 0));
    this.#written = written;
    if (this.#thrift === before) return;
    const { intervals, text } = THROTTLE[this.#thrift];
    this.#queue.setIntervalFactor(intervals);
    const { log, config } = this.#options;
    const why = `of ${config.max_writes_per_day} MB that may be written in a day (store.max_writes_per_day)`;
    if (this.#thrift > before) log.warn({ code: 'STORE_BUDGET' }, `too much ${why}: ${text}`);
    else log.info(`enough is left ${why}: ${text ?? 'all is written again'}`);
  }

  async #backUp(): Promise<void> {
    try {
      const { caller } = await this.#running();
      await caller.call('backup', [this.#judge.now()]);
      this.#heed('the backup of the database', null);
    } catch (error) {
      if (!this.#stopping) this.#heed('the backup of the database', error);
    }
  }

  /** Starts a clean-up, once the one that is under way is through. */
  #maintain(): void {
    const { clock, log } = this.#options;
    this.#lastMaintenance = clock.monotonic();
    if (this.#maintenance) {
      this.#maintainAgain = true;
      return;
    }
    this.#maintenance = this.#running()
      .then(async ({ caller }) => {
        // What waits may be of a time that is corrected now.
        await this.#queue.flush();
        return caller.call('maintain', [this.#judge.time()]);
      })
      .then(({ corrected, ...deleted }) => {
        this.#heed('deleting old entries', null);
        if (corrected > 0)
          log.info({ corrected }, 'put the times right of what was recorded with a wrong clock');
        if (Object.values(deleted).some((count) => count > 0)) log.info({ deleted }, 'deleted what was old');
      })
      .catch((error: unknown) => {
        if (!this.#stopping) this.#heed('deleting old entries', error);
      })
      .finally(() => {
        this.#maintenance = null;
        if (this.#maintainAgain && !this.#stopping) this.#maintain();
        this.#maintainAgain = false;
      });
  }

  /** Says once that something fails, and once that it works again. */
  #heed(activity: string, fault: unknown): void {
    const { log } = this.#options;
    if (fault === null) {
      if (this.#faults.delete(activity)) log.info(`${activity} works again`);
    } else if (!this.#faults.has(activity)) {
      this.#faults.add(activity);
      const { code, hint } = fault as Partial<LookoutError>;
      log.error({ code, hint }, `${activity} fails: ${messageOf(fault)}`);
    }
  }

  /** The store thread with its database open; a thread that has died is replaced. */
  async #opened(): Promise<void> {
    const { clock, log, signal = new AbortController().signal } = this.#options;
    const giveUpAt = clock.monotonic() + BUSY_WAIT_MS;
    for (let said = false; ; said = true) {
      try {
        await this.#running();
        return;
      } catch (error) {
        const busy = error instanceof LookoutError && error.code === 'STORE_BUSY';
        if (!busy || signal.aborted || clock.monotonic() >= giveUpAt) throw error;
        if (!said)
          log.warn({ code: error.code }, `${error.message}; waiting for up to ${BUSY_WAIT_MS / 1000} s`);
        await sleep(clock, BUSY_PAUSE_MS, signal);
      }
    }
  }

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
    const caller = new RpcClient<WorkerApi>((message, transfer) => worker.postMessage(message, transfer));
    worker.on('message', (message: unknown) => {
      if (caller.receive(message)) return;
      const said = message as Notice | News;
      if ('news' in said) {
        log.info(said.news);
        return;
      }
      const { code, notice, hint } = said;
      log.error({ err: new LookoutError(code, notice, { hint }) }, notice);
    });
    worker.on('error', (error) => log.error({ err: error }, 'store thread failed'));
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        caller.close(new LookoutError('INTERNAL', 'the store thread has ended'));
        if (!this.#stopping) this.#thread = null;
        resolve();
      });
    });
    try {
      const history = await caller.call('open', []);
      if (this.#judge.settings.length === 0) this.#judge.begin(history);
    } catch (error) {
      await caller.call('close', [null]).catch(() => {});
      await exited;
      throw error;
    }
    return { worker, caller, exited };
  }
}
