/**
 * One camera's way through the daemon, on the main thread, which moves buffers and decides but touches no pixel:
 *
 *   CameraSupervisor ──Frame──▶ Vision ──Analysis + Frame──▶ Decider ──┬─ Detection[] ──▶ Store (group commit)
 *     (source, restart)         (threads)                              ├─ EventChange[] ─▶ Store (event + outbox,
 *          ▲                       ▲                                   │                   one transaction) ─▶ MQTT
 *          │                       └── regions of open events ◀────────┤
 *       FramePool ◀───────────── buffers ◀── snapshots ◀───────────────┴─ best frames
 */
import type { Logger } from 'pino';
import { CameraSnapshots } from './camera-snapshots.ts';
import { createSource } from './capture/create.ts';
import type { FramePool } from './capture/frame-pool.ts';
import { isPermanent } from './capture/retry.ts';
import { CameraSupervisor } from './capture/supervisor.ts';
import { type CameraModels, Decider } from './decide/decider.ts';
import type { LookoutError } from './errors.ts';
import type { EventRecorder } from './event-recorder.ts';
import type { SettingCommand } from './publish/commands.ts';
import type { Publisher } from './publish/publisher.ts';
import type { Setting } from './publish/topics.ts';
import type { Clock } from './runtime/clock.ts';
import { free } from './runtime/garbage.ts';
import { recordAnalysis, recordStage } from './runtime/stage-times.ts';
import type { TimeJudge } from './runtime/time-judge.ts';
import type { Choices } from './setup/choices.ts';
import { labelsOf, type ResolvedCamera } from './setup/resolved.ts';
import type { Store } from './store/store.ts';
import type { Analysis, CameraStatus, EventChange, Frame, Service } from './types.ts';
import type { Vision } from './vision/vision.ts';

/** What a camera uses of the daemon. */
export interface CameraParts {
  vision: Pick<Vision, 'offer' | 'consumed' | 'setDetect' | 'setOpenRegions'>;
  store: Pick<Store, 'recordDetections' | 'saveSnapshot' | 'flush'>;
  publisher: Pick<Publisher, 'setCameraStatus' | 'setLabel' | 'setSetting' | 'confirm' | 'publishSnapshot'>;
  recorder: Pick<EventRecorder, 'record' | 'amend'>;
  choices: Pick<Choices, 'chosen' | 'current' | 'set'>;
  pool: FramePool;
  logThreshold: number;
  clock: Clock;
  log: Logger;
  random: () => number;
  newId: (now: number) => string;
  judge: Pick<TimeJudge, 'likely'>;
  onFrame: (camera: string) => void;
  /** Called with the number of runs in a row without a frame; `failure` of the camera is set if it is permanent. */
  onFailures: (camera: string, failures: number) => void;
  onEnd: () => void;
}

/** How often open events are checked for their end, in ms. */
const TICK_MS = 500;

export class Camera implements Service {
  readonly name: string;
  readonly #resolved: ResolvedCamera;
  readonly #parts: CameraParts;
  readonly #log: Logger;
  readonly #supervisor: CameraSupervisor;
  readonly #decider: Decider;
  #models: CameraModels;
  #openRegionsKey = '[]';
  readonly #snapshots: CameraSnapshots;
  readonly #pending = new Set<Promise<void>>();
  #ended = false;
  #failure: LookoutError | null = null;
  #cancelTick = () => {};

  constructor(name: string, resolved: ResolvedCamera, parts: CameraParts) {
    const { config } = resolved;
    this.name = name;
    this.#resolved = resolved;
    this.#models = resolved.models;
    this.#parts = parts;
    this.#log = parts.log.child({ camera: name });
    this.#decider = new Decider({
      camera: name,
      models: resolved.models,
      logThreshold: parts.logThreshold,
      newId: (wall) => parts.newId(parts.judge.likely(wall)),
    });
    this.#snapshots = new CameraSnapshots({
      camera: name,
      config,
      store: parts.store,
      publisher: parts.publisher,
      recorder: parts.recorder,
      pool: parts.pool,
      watch: (work) => this.#runInBackground('saving a snapshot', work),
    });
    this.#supervisor = new CameraSupervisor({
      name,
      source: () => createSource(config.source, { clock: parts.clock, log: this.#log }),
      pool: parts.pool,
      clock: parts.clock,
      log: this.#log,
      random: parts.random,
      intervalMs: intervalMs(resolved),
      stallMs: Math.max(config.stall * 1000, 3 * intervalMs(resolved)),
      onFailures: (failures, error) => {
        this.#failure = isPermanent(error) ? error : null;
        parts.onFailures(name, failures);
      },
      onFrame: (frame) => {
        parts.onFrame(name);
        parts.vision.offer(frame);
      },
      consumed: () => parts.vision.consumed(name),
      onStatus: (status, reason) => this.#onStatus(status, reason),
      onEnd: () => {
        this.#ended = true;
        parts.onEnd();
      },
    });
  }

  /** Why the camera delivers no frames, if that is permanent: the user has to fix it. */
  get failure(): LookoutError | null {
    return this.#supervisor.status === 'disabled' ? null : this.#failure;
  }

  /** No more frames will come: the source has ended, failed and would play only once, or is turned off. */
  get idle(): boolean {
    const { source } = this.#resolved.config;
    const failed = this.failure !== null && source.kind === 'replay' && !source.loop;
    return this.#ended || failed || this.#supervisor.status === 'disabled';
  }

  async start(): Promise<void> {
    const { clock } = this.#parts;
    this.publishLabels();
    await this.applySettings();
    this.#cancelTick = clock.every(TICK_MS, () => {
      this.#apply(this.#decider.tick(clock.now(), clock.monotonic()));
      this.#updateOpenRegions();
    });
    await this.#supervisor.start();
  }

  /** Stops the camera; its open events stay open until `close`. */
  async stop(): Promise<void> {
    this.#cancelTick();
    await this.#supervisor.stop();
  }

  /** Ends every open event; resolves when all is committed, as far as the disk accepts it. */
  async close(): Promise<void> {
    this.#apply(this.#decider.close(this.#parts.clock.now()));
    await this.#parts.store.flush();
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Uses other models or labels from the next frame on. Events that cannot continue with them end. */
  setModels(models: CameraModels): void {
    this.#models = models;
    this.#apply(this.#decider.setModels(models, this.#parts.clock.now()));
    this.#updateOpenRegions();
  }

  /** Publishes the state of all labels, and the threshold, which depends on them. */
  publishLabels(): void {
    this.#publishLabels(Object.keys(labelsOf(this.#models)));
    this.#publishThreshold();
  }

  /** Applies what is chosen or configured now, and publishes it. */
  async applySettings(): Promise<void> {
    const { publisher, choices } = this.#parts;
    for (const setting of ['enabled', 'detect'] as const) {
      publisher.setSetting({ camera: this.name, setting, value: choices.current(this.name, setting) });
    }
    this.#publishThreshold();
    for (const setting of ['detect', 'threshold', 'enabled'] as const) await this.#applySetting(setting);
  }

  /** Publishes a setting, whether it has changed or not. */
  confirm(setting: Exclude<Setting, 'model'>): void {
    const { publisher, choices } = this.#parts;
    const camera = this.name;
    if (setting === 'threshold') publisher.confirm({ camera, setting, value: this.#shownThreshold() });
    else publisher.confirm({ camera, setting, value: choices.current(camera, setting) });
  }

  /** Changes a setting by command. */
  set(command: Exclude<SettingCommand, { setting: 'model' }>): void {
    this.#parts.choices.set(command);
    this.#runInBackground(`applying ${command.setting}`, this.#applySetting(command.setting));
  }

  /** Has the next frame saved and published. */
  requestSnapshot(): void {
    this.#snapshots.requestSnapshot();
  }

  /** Takes the analysis of a frame, and the frame, whose buffer goes back to the pool. */
  onAnalysis(analysis: Analysis, frame: Frame): void {
    const began = performance.now();
    const { detections, changes, best } = this.#decider.observe(analysis);
    for (const { probabilities } of analysis.scores) free(probabilities.buffer);
    if (detections.length > 0) this.#parts.store.recordDetections(detections);
    for (const event of best) this.#snapshots.keepBest(event, frame);
    this.#apply(changes);
    this.#updateOpenRegions();
    this.#snapshots.finish(frame);
    recordAnalysis(analysis);
    recordStage('decide', performance.now() - began);
    recordStage('whole', this.#parts.clock.monotonic() - analysis.monotonic);
  }

  /** Takes back a frame that was not analysed. */
  onDropped(frame: Frame): void {
    this.#snapshots.finish(frame);
  }

  async #applySetting(setting: Exclude<Setting, 'model'>): Promise<void> {
    const { choices, vision } = this.#parts;
    if (setting === 'enabled') await this.#supervisor.setEnabled(choices.current(this.name, setting));
    else if (setting === 'detect') vision.setDetect(this.name, choices.current(this.name, setting));
    else this.#decider.setThreshold(choices.chosen(this.name, setting));
  }

  #onStatus(status: CameraStatus, reason: string): void {
    // The supervisor has logged what failed.
    const level = status === 'stalled' ? 'warn' : 'info';
    this.#log[level](`camera is ${status}${reason ? `: ${reason}` : ''}`);
    this.#parts.publisher.setCameraStatus(this.name, status);
    if (status === 'online') {
      this.#ended = false;
      this.#snapshots.cancelRequest();
    }
  }

  #apply(changes: readonly EventChange[]): void {
    if (changes.length === 0) return;
    for (const change of changes) {
      this.#snapshots.attachSnapshot(change);
      this.#parts.recorder.record(change);
      if (change.type !== 'update') this.#snapshots.save(change);
    }
    this.#publishLabels(new Set(changes.map(({ event }) => event.label)));
  }

  #publishLabels(labels: Iterable<string>): void {
    const open = new Set(this.#decider.open.map(({ label }) => label));
    for (const label of labels) this.#parts.publisher.setLabel(this.name, label, open.has(label));
  }

  #publishThreshold(): void {
    const value = this.#shownThreshold();
    this.#parts.publisher.setSetting({ camera: this.name, setting: 'threshold', value });
  }

  /** Passes the regions of open events to vision when they have changed. */
  #updateOpenRegions(): void {
    const regions = this.#decider.openRegions;
    const key = JSON.stringify(regions);
    if (key === this.#openRegionsKey) return;
    this.#openRegionsKey = key;
    this.#parts.vision.setOpenRegions(this.name, regions);
  }

  /** @param what for the log if it fails, as a gerund */
  #runInBackground(what: string, work: Promise<unknown>): void {
    const watched = work
      .then(
        () => {},
        (err: unknown) => this.#log.error({ err }, `camera ${this.name}: ${what} failed`),
      )
      .finally(() => this.#pending.delete(watched));
    this.#pending.add(watched);
  }

  /** The `on` threshold that MQTT shows: the chosen one, else the lowest of the camera's labels. */
  #shownThreshold(): number {
    const chosen = this.#parts.choices.chosen(this.name, 'threshold');
    return chosen ?? Math.min(1, ...Object.values(labelsOf(this.#models)).map(({ on }) => on));
  }
}

/** Milliseconds between two frames of a camera. */
function intervalMs({ config: { source } }: ResolvedCamera): number {
  return 1000 * (source.kind === 'libcamera' && source.mode === 'still' ? source.interval : 1 / source.fps);
}
