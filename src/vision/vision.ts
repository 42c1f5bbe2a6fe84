/**
 * The interface of the vision threads on main, which moves buffers and touches no pixel:
 *
 *            main                    │       vision worker        │    inference worker
 *                                    │                            │
 *   offer ─▶ Scheduler ── frame ─────┼─▶ motion, gate, resize ────┼─ slot ─▶ model
 *            (latest frame of each   │                            │            │
 *             camera, taking turns)  │                            │            │
 *   onAnalysis ◀── analysis, frame ──┼──────── probabilities ◀────┼─ slot ─────┘
 *
 * Each model in use has its own inference worker, which all cameras share. Models are swapped while frames flow: the
 * new one is loaded first, and the old one finishes its frames.
 *
 * Pixels and probabilities are transferred, and model inputs and outputs are in shared memory: nothing is copied between
 * threads. Threads that die or hang are replaced; their frames are dropped and counted.
 */
import type { Logger } from 'pino';
import type { CameraConfig } from '../config/schema.ts';
import { LookoutError } from '../errors.ts';
import { frameBytes } from '../pixels/plane.ts';
import { Backoff } from '../runtime/backoff.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { Limiter } from '../runtime/limiter.ts';
import type { Analysis, Frame, Region, Service } from '../types.ts';
import type { SessionInfo } from './inference-session.ts';
import { loadModels, Threads } from './inference-threads.ts';
import { Liveness } from './liveness.ts';
import { Scheduler } from './scheduler.ts';
import type { FromVision, ModelUse, VisionModel, WatchedCamera } from './thread-messages.ts';

/** Backoff before threads that died are restarted; doubles each time they analyse no frame in between. */
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;

/** Number of hanging threads at which the process itself must be restarted. */
const MAX_ABANDONED = 3;
/** Time limit for the last results during a stop. */
const LONGEST_STOP_MS = 4000;

/** The models in use, and by camera what each of them analyses. */
export interface Models {
  models: readonly VisionModel[];
  uses: Record<string, ModelUse>;
}

export interface VisionOptions extends Models {
  cameras: Record<string, CameraConfig>;
  clock: Clock;
  log: Logger;
  /** Receives an analysis and its frame, whose buffer changes hands. */
  onAnalysis: (analysis: Analysis, frame: Frame) => void;
  /** Receives a frame that was not analysed. Its buffer is detached if it was lost in a thread. */
  onDropped: (frame: Frame) => void;
  /** Called when so many threads hang that only a new process can help. */
  onStuck: (reason: string) => void;
}

export class Vision implements Service {
  readonly counters = { analysed: 0, dropped: 0, restarts: 0 };
  readonly #options: VisionOptions;
  readonly #scheduler: Scheduler;
  /** Camera settings, including the changes by commands: restarted threads begin with these. */
  readonly #watched: Record<string, WatchedCamera>;
  readonly #open = new Map<string, Region[]>();
  /** Frames in flight by id. Ids are reused: a table that grows and shrinks makes garbage. */
  readonly #inFlight: (Frame | null)[] = [];
  /** Share of the frames to analyse, 0…1, and the credit of each camera: 1 is a frame. */
  #analysisRate = 1;
  readonly #credit = new Map<string, number>();
  #models: Models;
  #infos: ReadonlyMap<string, SessionInfo> | null = null;
  #threads: Threads | null = null;
  /** Whether the threads accept frames. */
  #running = false;
  #stopping = false;
  readonly #backoff = new Backoff({ firstMs: FIRST_RETRY_MS, longestMs: LONGEST_RETRY_MS });
  #cancelRetry = () => {};
  readonly #frameFaults: Limiter;
  readonly #liveness: Liveness;
  /** Abandoned threads that have not ended. */
  readonly #abandoned = new Set<Threads>();

  constructor(options: VisionOptions) {
    this.#options = options;
    this.#scheduler = new Scheduler(Object.keys(options.cameras), framesInFlight(options.models));
    this.#watched = { ...options.cameras };
    this.#models = { models: options.models, uses: options.uses };
    const { clock, log } = options;
    this.#liveness = new Liveness(clock, (silentMs) => this.#onHang(silentMs));
    this.#frameFaults = new Limiter(clock, (message, times) => log.warn({ times }, message));
  }

  /** Whether threads hang inside ONNX Runtime: the process cannot exit normally. */
  get stuck(): boolean {
    return this.#abandoned.size > 0;
  }

  /** The session of each model in use, by key. */
  get infos(): ReadonlyMap<string, SessionInfo> {
    if (!this.#infos) throw new LookoutError('INTERNAL', 'vision: not started');
    return this.#infos;
  }

  /** @throws LookoutError MODEL_* when the model cannot run here */
  async start(): Promise<void> {
    this.#logSkippedProviders(await this.#begin());
  }

  /**
   * Changes the models from the next frame on. New models are loaded first, then unused ones are released.
   * @param ready called immediately before the change, when it can no longer fail
   * @throws LookoutError MODEL_* when a new model cannot run here; nothing changes then
   */
  async swap(next: Models, ready: () => void): Promise<void> {
    const threads = this.#threads;
    const known = this.infos;
    const loaded = await loadModels(next.models.filter(({ key }) => !known.has(key)));
    const added = new Map<string, SessionInfo>();
    for (const thread of loaded) added.set(thread.queue.key, await thread.ready);
    if (!threads || !this.#running || this.#stopping || threads !== this.#threads) {
      for (const thread of loaded) thread.discard();
      throw new LookoutError('INTERNAL', 'the vision threads ended while the model was loading; retry');
    }
    ready();
    this.#scheduler.setCredits(framesInFlight(this.#models.models), framesInFlight(next.models));
    this.#models = next;
    this.#infos = new Map(next.models.map(({ key }) => [key, (added.get(key) ?? known.get(key))!]));
    threads.use(loaded, next.uses);
    this.#logSkippedProviders(added);
  }

  /** Finishes the frames in flight and drops those that wait; resolves when the threads have ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelRetry();
    this.#frameFaults.close();
    this.#liveness.stop();
    for (const frame of this.#scheduler.clear()) this.#drop(frame);
    const threads = this.#threads;
    if (!threads) return;
    const timeout = sleep(this.#options.clock, Math.min(this.#liveness.timeoutMs, LONGEST_STOP_MS));
    const ended = await Promise.race([threads.stop().then(() => true), timeout.then(() => false)]);
    if (ended) return;
    this.#abandon(threads);
    this.#onEnded(null);
  }

  /** Accepts a frame. Only the latest frame of each camera waits: the one it replaces is dropped. */
  offer(frame: Frame): void {
    if (this.#stopping || !this.#isSampled(frame) || !this.#isValid(frame)) {
      this.#drop(frame);
      return;
    }
    const replaced = this.#scheduler.offer(frame);
    if (replaced) this.#drop(replaced);
    this.#send();
  }

  /** Sets the share of the frames to analyse, 0…1; the others are dropped before they cost anything. */
  setAnalysisRate(rate: number): void {
    this.#analysisRate = rate;
  }

  /** Resolves when no frame of the camera waits. */
  consumed(camera: string): Promise<void> {
    return this.#scheduler.consumed(camera);
  }

  /** Turns the analysis of a camera's frames on or off; while off they come back with gate `off`. */
  setDetect(camera: string, on: boolean): void {
    this.#watched[camera] = { ...this.#watched[camera]!, detect: on };
    this.#threads?.post({ type: 'detect', camera, on });
  }

  /** Sets the regions of open events, which are analysed even when nothing moves. */
  setOpenRegions(camera: string, regions: Region[]): void {
    this.#open.set(camera, regions);
    this.#threads?.post({ type: 'open', camera, regions });
  }

  async #begin(): Promise<ReadonlyMap<string, SessionInfo>> {
    const threads = new Threads({
      ...this.#models,
      cameras: this.#watched,
      onAnalysis: (analysis) => this.#onAnalysis(analysis),
    });
    this.#threads = threads;
    for (const [camera, regions] of this.#open) threads.post({ type: 'open', camera, regions });
    void threads.ended.then((error) => {
      if (threads === this.#threads) this.#onEnded(error);
    });
    this.#infos = await threads.ready;
    this.#running = true;
    this.#liveness.restart();
    this.#send();
    return this.#infos;
  }

  #logSkippedProviders(infos: ReadonlyMap<string, SessionInfo>): void {
    for (const { provider, reason } of [...infos.values()].flatMap(({ skipped }) => skipped)) {
      this.#options.log.info({ provider, reason }, `model.providers: skipping ${provider}: ${reason}`);
    }
  }

  #send(): void {
    if (!this.#running) return;
    for (let frame = this.#scheduler.take(); frame; frame = this.#scheduler.take()) {
      const unused = this.#inFlight.indexOf(null);
      const id = unused < 0 ? this.#inFlight.length : unused;
      const { camera, format, monotonic, data } = frame;
      this.#inFlight[id] = frame;
      this.#liveness.sent();
      this.#threads!.post({ type: 'frame', id, camera, format, monotonic, data }, [data]);
    }
  }

  #onAnalysis({ id, gate, motion, scores, times, data }: FromVision): void {
    const frame = this.#inFlight[id]!;
    this.#inFlight[id] = null;
    this.#scheduler.done();
    this.#liveness.answered(times.motion + times.resize + times.inference);
    this.#backoff.reset();
    this.counters.analysed++;
    this.#send();
    const { camera, seq, capturedAt, monotonic } = frame;
    frame.data = data;
    this.#options.onAnalysis({ camera, seq, capturedAt, monotonic, gate, motion, scores, times }, frame);
  }

  /** The threads no longer return frames. */
  #onHang(silentMs: number): void {
    const seconds = (silentMs / 1000).toFixed(1);
    const error = new LookoutError('MODEL_STUCK', `the model has not responded for ${seconds} s`, {
      hint: "If this recurs, check the board's temperature, power supply and free memory.",
    });
    this.#abandon(this.#threads!);
    this.#onEnded(error);
    if (this.#abandoned.size >= MAX_ABANDONED && !this.#stopping) {
      this.#options.onStuck(`${MAX_ABANDONED} inference threads hang; only a new process can help`);
    }
  }

  #abandon(threads: Threads): void {
    this.#threads = null;
    this.#abandoned.add(threads);
    void threads.ended.then(() => this.#abandoned.delete(threads));
    threads.abandon();
  }

  /** The threads have ended, on request or because one of them failed, or were abandoned. */
  #onEnded(error: unknown): void {
    this.#running = false;
    this.#liveness.stop();
    for (const frame of this.#inFlight.splice(0)) {
      if (!frame) continue;
      this.#scheduler.done();
      this.#drop(frame);
    }
    if (this.#stopping || !this.#infos) return;
    const { log, clock } = this.#options;
    const waitMs = this.#backoff.next();
    log.error({ err: error }, `vision threads failed; restarting in ${waitMs} ms`);
    this.#cancelRetry = clock.after(waitMs, () => {
      this.counters.restarts++;
      // If the restart fails, `threads.ended` calls this method again.
      this.#begin().catch(() => {});
    });
  }

  /** Whether a frame belongs to the share that is analysed, which is spread evenly for each camera. */
  #isSampled({ camera }: Frame): boolean {
    const credit = (this.#credit.get(camera) ?? 0) + this.#analysisRate;
    const sampled = credit >= 1;
    this.#credit.set(camera, sampled ? credit - 1 : credit);
    return sampled;
  }

  #isValid({ camera, format, data }: Frame): boolean {
    const expected = frameBytes(format);
    if (data.byteLength === expected) return true;
    const size = `${format.width}×${format.height} ${format.pixels}`;
    this.#frameFaults.add(
      `camera ${camera}: frame dropped: expected ${expected} bytes for ${size}, found ${data.byteLength}`,
    );
    return false;
  }

  #drop(frame: Frame): void {
    this.counters.dropped++;
    this.#options.onDropped(frame);
  }
}

/**
 * Limit of frames in flight: one in each session, one ready, one in transit; with several sessions one more for each of
 * the others, which may finish before an older frame.
 */
function framesInFlight(models: readonly VisionModel[]): number {
  return 1 + 2 * Math.max(1, ...models.map(({ config }) => config.sessions));
}
