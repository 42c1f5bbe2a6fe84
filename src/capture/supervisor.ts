/**
 * Keeps one camera running: starts its source, detects failures and silence, and restarts it.
 *
 *   stopped ──start──▶ starting ──first frame──▶ online
 *                         ▲                        │ throws: offline
 *                         └──────── backoff ◀──────┘ silent: stalled
 */
import type { Logger } from 'pino';
import { LookoutError } from '../errors.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { Limiter } from '../runtime/limiter.ts';
import type { CameraStatus, Frame, RawFrame, Service } from '../types.ts';
import { orAborted } from './abortable.ts';
import type { FramePool } from './frame-pool.ts';
import { pauseMs, type Retry, retryOf } from './retry.ts';
import type { FrameSink, Source } from './source.ts';

/** Silence for this many frame intervals plus this many milliseconds shows as stalled. */
const STALL_INTERVALS = 2;
const STALL_MS = 1500;
const CHECK_MS = 250;
/** After frames for this long, the next failure counts as the first. */
const RECOVERED_MS = 60_000;

export interface SupervisorOptions {
  /** Name of the camera. */
  name: string;
  /** Called for every start, so that a source can take up what has changed. */
  source: () => Source | Promise<Source>;
  pool: FramePool;
  clock: Clock;
  log: Logger;
  /** 0…1, for the jitter of the backoff. */
  random: () => number;
  /** Milliseconds between two frames according to the settings. */
  intervalMs: number;
  /** Milliseconds without a frame after which the source is restarted. */
  stallMs: number;
  /** Receives every frame; its buffer changes hands. */
  onFrame: (frame: Frame) => void;
  /** Resolves when the camera's last frame was analysed. */
  consumed: () => Promise<void>;
  /** Called when the status changes, with a short reason. The log has the details. */
  onStatus: (status: CameraStatus, reason: string) => void;
  /**
   * Called after each failed run with the number of failures in a row and the last error, and with 0 when frames
   * arrive again.
   */
  onFailures: (failures: number, error: unknown) => void;
  /** Called when the source has ended without an error. */
  onEnd: () => void;
}

export interface CaptureCounters {
  /** Frames delivered. */
  frames: number;
  /** Faults that a source survived. */
  faults: number;
  /** Starts after the first start. */
  restarts: number;
  /** Restarts because of silence. */
  stalls: number;
}

/** How one run of a source ended. */
type Outcome =
  | { kind: 'ended' }
  | { kind: 'aborted' }
  | { kind: 'failed' | 'stalled'; error: unknown; goodMs: number };

export class CameraSupervisor implements Service {
  readonly counters: CaptureCounters = { frames: 0, faults: 0, restarts: 0, stalls: 0 };
  readonly #options: SupervisorOptions;
  #status: CameraStatus = 'offline';
  #seq = 0;
  /** Runs in a row that delivered no frames, or not for long. */
  #failures = 0;
  /** Runs in a row that delivered no frame at all. */
  #runsWithoutFrame = 0;
  /** The code of the last failure, and how many failures in a row had it. */
  #code = '';
  #same = 0;
  /** The permanent failure that was logged last. */
  #logged = '';
  #started = false;
  #enabled = true;
  #abort: AbortController | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get status(): CameraStatus {
    return this.#status;
  }

  async start(): Promise<void> {
    this.#started = true;
    this.#launch();
  }

  /** Resolves when the source and everything that it started has ended. */
  async stop(): Promise<void> {
    this.#started = false;
    await this.#halt();
    if (this.#enabled) this.#setStatus('offline', 'stopped');
  }

  /** Turns the camera off or on; a camera that is off uses no resources. Resolves when it is off or starting. */
  async setEnabled(on: boolean): Promise<void> {
    if (on === this.#enabled) return;
    this.#enabled = on;
    if (on) {
      this.#setStatus('offline', 'starting');
      this.#launch();
    } else {
      await this.#halt();
      if (!this.#enabled) this.#setStatus('disabled', '');
    }
  }

  #launch(): void {
    if (!this.#started || !this.#enabled || this.#abort) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#running = this.#running.then(() => this.#run(abort.signal));
  }

  async #halt(): Promise<void> {
    this.#abort?.abort();
    this.#abort = null;
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, random, onEnd, onFailures } = this.#options;
    this.#failures = 0;
    while (!signal.aborted) {
      const outcome = await this.#attempt(signal);
      if (outcome.kind === 'aborted') return;
      if (outcome.kind === 'ended') {
        this.#setStatus('offline', 'ended');
        onEnd();
        return;
      }
      if (outcome.goodMs >= RECOVERED_MS) this.#failures = 0;
      this.#failures++;
      this.#same = this.#runsWithoutFrame > 0 && codeOf(outcome.error) === this.#code ? this.#same + 1 : 1;
      this.#code = codeOf(outcome.error);
      const retry = retryOf(outcome.error);
      const count = { failures: this.#failures, same: this.#same, random: random() };
      const backoff = pauseMs(retry, count);
      this.#logFailure(outcome.error, retry, backoff);
      onFailures(++this.#runsWithoutFrame, outcome.error);
      if (outcome.kind === 'stalled') this.#setStatus('stalled', 'no frames received');
      else this.#setStatus('offline', 'source failed');
      await sleep(clock, backoff, signal);
      if (!signal.aborted) this.counters.restarts++;
    }
  }

  /** One run of the source, from its start to its end. */
  async #attempt(outer: AbortSignal): Promise<Outcome> {
    const { clock, stallMs, intervalMs, name } = this.#options;
    const stalled = new AbortController();
    // Aborts at the end of the run: Node.js never frees a signal of AbortSignal.any() that has a listener and never aborts.
    const over = new AbortController();
    const signal = AbortSignal.any([outer, stalled.signal, over.signal]);
    const sink = new Sink(this.#options, this.counters, signal, (frame) => this.#take(frame));
    const cancel = clock.every(Math.max(1, Math.min(CHECK_MS, stallMs / 4)), () => {
      const gap = Math.max(intervalMs, sink.averageGapMs);
      if (this.#status === 'online' && sink.silentMs >= STALL_INTERVALS * gap + STALL_MS) {
        this.#setStatus('stalled', 'no frames received');
      }
      if (sink.silentMs < stallMs || signal.aborted) return;
      this.counters.stalls++;
      stalled.abort();
    });
    let error: unknown;
    try {
      const source = await this.#options.source();
      if (!signal.aborted) {
        this.#options.log.debug(`starting ${source.description}`);
        await source.run(sink, signal);
      }
      if (!signal.aborted) return { kind: 'ended' };
    } catch (thrown) {
      error = thrown;
    } finally {
      cancel();
      over.abort();
      sink.close();
    }
    if (outer.aborted) return { kind: 'aborted' };
    if (!stalled.signal.aborted) return { kind: 'failed', error, goodMs: sink.goodMs };
    if (error instanceof LookoutError && error.code === 'CAPTURE_HANGING') {
      return { kind: 'stalled', error, goodMs: sink.goodMs };
    }
    const silence = new LookoutError('CAPTURE_STALLED', `camera ${name}: no frames for ${stallMs / 1000} s`);
    return { kind: 'stalled', error: silence, goodMs: sink.goodMs };
  }

  #take({ format, data }: RawFrame): void {
    const { name, clock, onFrame } = this.#options;
    this.counters.frames++;
    this.#setStatus('online', '');
    if (this.#runsWithoutFrame > 0) {
      this.#runsWithoutFrame = 0;
      this.#logged = '';
      this.#options.onFailures(0, null);
    }
    onFrame({
      camera: name,
      seq: this.#seq++,
      capturedAt: clock.now(),
      monotonic: clock.monotonic(),
      format,
      data,
    });
  }

  #setStatus(status: CameraStatus, reason: string): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#options.onStatus(status, reason);
  }

  /** A permanent failure is logged as a warning once, and at level `debug` from then on. */
  #logFailure(error: unknown, { permanent, longestMs }: Retry, backoffMs: number): void {
    const { log, name } = this.#options;
    const soon = `restarting the source in ${(backoffMs / 1000).toFixed(1)} s`;
    const every = longestMs > 60_000 ? `${longestMs / 60_000} min` : `${longestMs / 1000} s`;
    const next = !permanent
      ? soon
      : backoffMs * 2 > longestMs
        ? `retrying every ${every}`
        : `${soon}, later every ${every}`;
    if (error instanceof LookoutError) {
      const { code, hint, message } = error;
      const level = permanent && message === this.#logged ? 'debug' : 'warn';
      this.#logged = permanent ? message : '';
      log[level](hint === undefined ? { code } : { code, hint }, `${message}; ${next}`);
    } else log.error({ err: error }, `camera ${name}: source failed; ${next}`);
  }
}

function codeOf(error: unknown): string {
  return error instanceof LookoutError ? error.code : '';
}

/** Weight of the latest gap in the moving average of gaps between frames. */
const GAP_WEIGHT = 0.1;

/** Receives the frames of one run of a source. Frames that arrive after the abort go back to the pool. */
class Sink implements FrameSink {
  readonly #options: SupervisorOptions;
  readonly #counters: CaptureCounters;
  readonly #signal: AbortSignal;
  readonly #take: (frame: RawFrame) => void;
  readonly #faults: Limiter;
  #first: number | null = null;
  #last: number;
  #averageGapMs = 0;
  #waiting = 0;

  constructor(
    options: SupervisorOptions,
    counters: CaptureCounters,
    signal: AbortSignal,
    take: (frame: RawFrame) => void,
  ) {
    const { clock, log } = options;
    this.#options = options;
    this.#counters = counters;
    this.#signal = signal;
    this.#take = take;
    this.#last = clock.monotonic();
    this.#faults = new Limiter(clock, (message, count) => {
      log.warn(count > 1 ? { faults: count } : {}, message);
    });
  }

  /** Milliseconds since the last frame, or since the start; 0 while the source waits for the analysis. */
  get silentMs(): number {
    return this.#waiting > 0 ? 0 : this.#options.clock.monotonic() - this.#last;
  }

  /** Milliseconds between two recent frames, as a moving average. */
  get averageGapMs(): number {
    return this.#averageGapMs;
  }

  /** Milliseconds from the first frame to the last. */
  get goodMs(): number {
    return this.#first === null ? 0 : this.#last - this.#first;
  }

  acquire(bytes: number): ArrayBuffer {
    return this.#options.pool.acquire(bytes);
  }

  release(buffer: ArrayBuffer): void {
    this.#options.pool.release(buffer);
  }

  frame(frame: RawFrame): void {
    if (this.#signal.aborted) {
      this.release(frame.data);
      return;
    }
    const now = this.#options.clock.monotonic();
    if (this.#first !== null) this.#averageGapMs += (now - this.#last - this.#averageGapMs) * GAP_WEIGHT;
    this.#last = now;
    this.#first ??= now;
    this.#take(frame);
  }

  async consumed(): Promise<void> {
    this.#waiting++;
    try {
      await orAborted(this.#options.consumed(), this.#signal);
    } finally {
      this.#waiting--;
      this.#last = this.#options.clock.monotonic();
    }
  }

  fault(message: string): void {
    this.#counters.faults++;
    this.#faults.add(message);
  }

  close(): void {
    this.#faults.close();
  }
}
