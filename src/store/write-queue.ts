/**
 * Queue for the database. Events are written immediately, those of the same turn of the event loop in one transaction.
 * Detections, samples and published messages wait for the next transaction, for a full batch, or for
 * `commit_interval`. One transaction is in flight at a time; what arrives meanwhile forms the next.
 *
 * While the database cannot be written, the newest entries are kept within limits, and the write is retried.
 */
import type { Logger } from 'pino';
import { LookoutError, messageOf } from '../errors.ts';
import { Backoff } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import { Limiter } from '../runtime/limiter.ts';
import type { Detection } from '../types.ts';
import type { Batch, CommitResult, EventEntry } from './store-types.ts';

/** Most entries that wait in memory. Detections are the cheaper loss and do not take room from events. */
export const MAX_WAITING = { events: 5000, detections: 10_000, samples: 100 } as const;

/** Most entries per transaction, so that none takes long. */
const MAX_BATCH = { events: 500, detections: 2000, samples: 100 } as const;

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 30_000;

/** A fault that recurs within this time, as on a disk that is nearly full, is not logged again. */
const LOG_AGAIN_MS = 60_000;

interface Waiting extends EventEntry {
  /** True: written. False: given up. */
  settle: (written: boolean) => void;
}

export interface QueueOptions {
  commit: (batch: Omit<Batch, 'clocks'>) => Promise<CommitResult>;
  /** Milliseconds for which detections are collected. */
  interval: number;
  clock: Clock;
  log: Logger;
}

export class WriteQueue {
  readonly #options: QueueOptions;
  #events: Waiting[] = [];
  #detections: Detection[] = [];
  #samples: Batch['samples'] = [];
  #publishedUpTo = 0;
  #undeliverable = 0;
  #lost = { events: 0, detections: 0 };
  #running: Promise<void> | null = null;
  #scheduled = false;
  readonly #backoff = new Backoff({ firstMs: FIRST_RETRY_MS, longestMs: LONGEST_RETRY_MS });
  readonly #faults: Limiter<unknown>;
  #cancelRetry: () => void = () => {};
  #cancelInterval: () => void = () => {};
  #error: string | null = null;

  #closed = false;
  #intervalFactor = 1;
  #ticks = 0;

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#faults = new Limiter<unknown>(options.clock, (error) => this.#logFault(error), {
      windowMs: LOG_AGAIN_MS,
      trailing: false,
    });
  }

  /** Why the database cannot be written, with the code first; null if it can. */
  get error(): string | null {
    return this.#error;
  }

  get waiting(): number {
    return this.#events.length + this.#detections.length;
  }

  /** Entries given up since the start. */
  get lost(): { events: number; detections: number } {
    return { ...this.#lost };
  }

  start(): void {
    this.#cancelInterval = this.#options.clock.every(this.#options.interval, () => {
      this.#ticks++;
      if (this.#error === null && this.#ticks % this.#intervalFactor === 0) void this.flush();
    });
  }

  /** Collects detections for this many intervals instead of one, as far as there is room. */
  setIntervalFactor(intervals: number): void {
    this.#intervalFactor = intervals;
  }

  /** Resolves with true when the entry is on the disk, with false if it was given up. Never rejects. */
  addEvent(entry: EventEntry): Promise<boolean> {
    return new Promise((settle) => {
      if (this.#closed) {
        this.#lost.events++;
        settle(false);
        return;
      }
      this.#events.push({ ...entry, settle });
      this.#trim();
      if (this.#error === null) this.#schedule();
    });
  }

  addDetections(detections: readonly Detection[]): void {
    this.#detections.push(...detections);
    this.#trim();
    if (this.#error === null && this.#detections.length >= MAX_BATCH.detections) this.#schedule();
  }

  addSample(sample: Batch['samples'][number]): void {
    this.#samples.push(sample);
    this.#trim();
  }

  /** Marks outbox rows up to this id as published. @param undeliverable how many of them the broker does not accept */
  addPublished(upToId: number, undeliverable = 0): void {
    this.#publishedUpTo = Math.max(this.#publishedUpTo, upToId);
    this.#undeliverable += undeliverable;
  }

  /** Writes everything pending; resolves when it is written or the first attempt has failed. */
  async flush(): Promise<void> {
    await this.#running;
    this.#running ??= this.#drain().finally(() => {
      this.#running = null;
    });
    await this.#running;
  }

  /** Makes one last attempt to write everything; what cannot be written is given up. */
  async stop(): Promise<void> {
    this.#cancelInterval();
    this.#cancelRetry();
    this.#faults.close();
    this.#closed = true;
    await this.flush();
    const { events, detections } = this.#giveUp();
    if (events + detections > 0) {
      this.#options.log.error(
        { events, detections },
        'database: stopped before everything could be written; the rest is lost',
      );
    }
  }

  /** Starts a transaction at the end of this turn of the event loop. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      void this.flush();
    });
  }

  async #drain(): Promise<void> {
    while (this.#events.length + this.#detections.length + this.#samples.length + this.#publishedUpTo > 0) {
      const events = this.#events.splice(0, MAX_BATCH.events);
      const detections = this.#detections.splice(0, MAX_BATCH.detections);
      const samples = this.#samples.splice(0, MAX_BATCH.samples);
      const publishedUpTo = this.#publishedUpTo;
      const undeliverable = this.#undeliverable;
      this.#publishedUpTo = 0;
      this.#undeliverable = 0;
      const entries = events.map(({ settle: _, ...entry }) => entry);
      try {
        const { rejected } = await this.#options.commit({
          events: entries,
          detections,
          samples,
          publishedUpTo,
          undeliverable,
        });
        for (const { reason } of rejected) {
          this.#options.log.error({ reason }, 'database: skipped an entry that cannot be written');
        }
        const skipped = new Set(rejected.map(({ event }) => event));
        for (const [index, { settle }] of events.entries()) settle(!skipped.has(index));
        this.#recovered();
      } catch (error) {
        this.#events = events.concat(this.#events);
        this.#detections = detections.concat(this.#detections);
        this.#samples = samples.concat(this.#samples);
        this.addPublished(publishedUpTo, undeliverable);
        this.#failed(error);
        this.#trim();
        return;
      }
    }
  }

  #failed(error: unknown): void {
    if (this.#error === null) this.#faults.add(error);
    const code = error instanceof LookoutError ? error.code : 'STORE_UNWRITABLE';
    this.#error = `${code}: ${messageOf(error)}`;
    const waitMs = this.#backoff.next();
    this.#cancelRetry();
    if (!this.#closed) this.#cancelRetry = this.#options.clock.after(waitMs, () => void this.flush());
  }

  #logFault(error: unknown): void {
    const { log } = this.#options;
    const message = 'cannot write the database; keeping events in memory and retrying';
    if (error instanceof LookoutError) {
      const { code, hint, message: reason } = error;
      log.error(hint === undefined ? { code, reason } : { code, reason, hint }, message);
    } else log.error({ err: error }, message);
  }

  #recovered(): void {
    if (this.#error === null) return;
    this.#error = null;
    this.#backoff.reset();
    this.#options.log.info({ lost: this.lost }, 'the database can be written again');
  }

  /** Gives up the oldest entries over the limits. */
  #trim(): void {
    this.#giveUp(MAX_WAITING);
  }

  #giveUp(
    keep: { events: number; detections: number; samples: number } = { events: 0, detections: 0, samples: 0 },
  ): {
    events: number;
    detections: number;
  } {
    const events = this.#events.splice(0, Math.max(0, this.#events.length - keep.events));
    const detections = this.#detections.splice(0, Math.max(0, this.#detections.length - keep.detections));
    this.#samples.splice(0, Math.max(0, this.#samples.length - keep.samples));
    for (const { settle } of events) settle(false);
    this.#lost.events += events.length;
    this.#lost.detections += detections.length;
    return { events: events.length, detections: detections.length };
  }
}
