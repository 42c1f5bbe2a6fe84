/**
 * What waits for the database. Events go out at once, everything that is said in the same moment in one transaction;
 * detections, samples and what the broker has taken wait for the next one, for a full batch, or for
 * `commit_interval`. One transaction
 * is under way at a time; what arrives meanwhile makes the next.
 *
 * While the database cannot be written, the newest of everything is kept within bounds and tried again.
 */
import type { Logger } from 'pino';
import { LookoutError, messageOf } from '../errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Detection } from '../types.ts';
import type { Batch, CommitResult, EventEntry } from './store-types.ts';

/** Most entries that wait in memory. Detections are the cheaper loss and have no claim on the room of events. */
export const MAX_WAITING = { events: 5000, detections: 10_000, samples: 100 } as const;

/** Most entries of one transaction, so that none takes long. */
const MAX_BATCH = { events: 500, detections: 2000, samples: 100 } as const;

/** Waiting times between two tries, in ms. */
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;

/** A fault that comes back within so many ms, as when a full disk finds a little room, is not said again. */
const SAY_AGAIN_MS = 60_000;

interface Waiting extends EventEntry {
  /** True: written. False: given up. */
  settle: (written: boolean) => void;
}

export interface QueueOptions {
  commit: (batch: Omit<Batch, 'clocks'>) => Promise<CommitResult>;
  /** Milliseconds for which detections are gathered. */
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
  #retryMs = 0;
  #cancelRetry: () => void = () => {};
  #cancelInterval: () => void = () => {};
  #error: string | null = null;
  #saidAt = Number.NEGATIVE_INFINITY;
  #closed = false;
  #stretch = 1;
  #ticks = 0;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** Why nothing can be written just now, after its code; null while all is well. */
  get error(): string | null {
    return this.#error;
  }

  get waiting(): number {
    return this.#events.length + this.#detections.length;
  }

  /** What was given up since the start. */
  get lost(): { events: number; detections: number } {
    return { ...this.#lost };
  }

  start(): void {
    this.#cancelInterval = this.#options.clock.every(this.#options.interval, () => {
      this.#ticks++;
      if (this.#error === null && this.#ticks % this.#stretch === 0) void this.flush();
    });
  }

  /** Has detections gathered for so many intervals instead of one, as far as they find room. */
  setIntervalFactor(intervals: number): void {
    this.#stretch = intervals;
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

  /** Outbox rows up to this id have reached the broker, but for so many that it does not take. */
  addPublished(upToId: number, undeliverable = 0): void {
    this.#publishedUpTo = Math.max(this.#publishedUpTo, upToId);
    this.#undeliverable += undeliverable;
  }

  /** Writes everything that waits; resolves when it is written or the first try failed. */
  async flush(): Promise<void> {
    await this.#running;
    this.#running ??= this.#drain().finally(() => {
      this.#running = null;
    });
    await this.#running;
  }

  /** Writes what waits, once; what cannot be written is given up. */
  async stop(): Promise<void> {
    this.#cancelInterval();
    this.#cancelRetry();
    this.#closed = true;
    await this.flush();
    const { events, detections } = this.#giveUp();
    if (events + detections > 0) {
      this.#options.log.error({ events, detections }, 'stopped before everything could be written');
    }
  }

  /** Starts a transaction when everything of this moment has been said. */
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
          this.#options.log.error({ reason }, 'entry cannot be written, left out');
        }
        const left = new Set(rejected.map(({ event }) => event));
        for (const [index, { settle }] of events.entries()) settle(!left.has(index));
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
    const { clock, log } = this.#options;
    const now = clock.monotonic();
    if (this.#error === null && now - this.#saidAt > SAY_AGAIN_MS) {
      this.#saidAt = now;
      const said = 'database cannot be written; keeping events in memory';
      if (error instanceof LookoutError) {
        const { code, hint, message: reason } = error;
        log.error(hint === undefined ? { code, reason } : { code, reason, hint }, said);
      } else log.error({ err: error }, said);
    }
    const code = error instanceof LookoutError ? error.code : 'STORE_UNWRITABLE';
    this.#error = `${code}: ${messageOf(error)}`;
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2 || FIRST_RETRY_MS);
    this.#cancelRetry();
    if (!this.#closed) this.#cancelRetry = clock.after(this.#retryMs, () => void this.flush());
  }

  #recovered(): void {
    if (this.#error === null) return;
    this.#error = null;
    this.#retryMs = 0;
    this.#options.log.info({ lost: this.lost }, 'database can be written again');
  }

  /** Gives up the oldest of what is too much. */
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
