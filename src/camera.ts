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
import type { Command } from './publish/commands.ts';
import type { Publisher } from './publish/publisher.ts';
import type { Setting } from './publish/topics.ts';
import type { Clock } from './runtime/clock.ts';
import { free } from './runtime/garbage.ts';
import { logEvent } from './runtime/logger.ts';
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
  store: Pick<Store, 'recordEvent' | 'recordDetections' | 'saveSnapshot' | 'flush'>;
  publisher: Pick<
    Publisher,
    'eventMessages' | 'wake' | 'setCameraStatus' | 'setLabel' | 'setSetting' | 'confirm' | 'publishSnapshot'
  >;
  choices: Pick<Choices, 'chosen' | 'current' | 'set'>;
  pool: FramePool;
  logThreshold: number;
  clock: Clock;
  log: Logger;
  random: () => number;
  newId: (now: number) => string;
  /** Stamps times with the setting of the clock. */
  judge: Pick<TimeJudge, 'stamp' | 'correction' | 'likely'>;
  onFrame: (camera: string) => void;
  /** Takes how many runs of a camera in a row gave no picture; its `failure` says whether that will last. */
  onFailures: (camera: string, failures: number) => void;
  onEnd: () => void;
}

/** How often an open event looks whether its time is over. */
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
  /** Settings of the clock in which the open events started. */
  readonly #clocks = new Map<string, number | null>();
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
      ...{ camera: name, config, store: parts.store, publisher: parts.publisher, pool: parts.pool },
      record: (change) => this.#record(change),
      watch: (work) => this.#runInBackground(work),
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

  /** Why it gives no pictures, if that lasts until somebody puts it right. */
  get failure(): LookoutError | null {
    return this.#supervisor.status === 'disabled' ? null : this.#failure;
  }

  /** Nothing more will come: its source has ended, cannot start and would play only once, or is turned off. */
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

  /** Stops the camera; its open events go on until `close`. */
  async stop(): Promise<void> {
    this.#cancelTick();
    await this.#supervisor.stop();
  }

  /** Ends every open event and waits until all of it is committed, as far as the disk takes it. */
  async close(): Promise<void> {
    this.#apply(this.#decider.close(this.#parts.clock.now()));
    await this.#parts.store.flush();
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Has other models or labels judged from now on; events that they end are told first. */
  setModels(models: CameraModels): void {
    this.#models = models;
    this.#apply(this.#decider.setModels(models, this.#parts.clock.now()));
    this.#updateOpenRegions();
  }

  /** Says the state of all labels and of what depends on them. */
  publishLabels(): void {
    this.#publishLabels(Object.keys(labelsOf(this.#models)));
    this.#parts.publisher.setSetting(this.name, 'threshold', this.#shownThreshold());
  }

  /** Takes over what is chosen or configured now, and says it. */
  async applySettings(): Promise<void> {
    const { publisher, choices } = this.#parts;
    for (const setting of ['enabled', 'detect'] as const) {
      publisher.setSetting(this.name, setting, choices.current(this.name, setting));
    }
    publisher.setSetting(this.name, 'threshold', this.#shownThreshold());
    for (const setting of ['detect', 'threshold', 'enabled'] as const) await this.#applySetting(setting);
  }

  /** Says a setting again, whether it has changed or not. */
  confirm(setting: Exclude<Setting, 'model'>): void {
    const { publisher, choices } = this.#parts;
    if (setting === 'threshold') publisher.confirm(this.name, setting, this.#shownThreshold());
    else publisher.confirm(this.name, setting, choices.current(this.name, setting));
  }

  /** Takes the analysis of a frame and its picture, whose buffer it passes on. */
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

  /** Takes back a frame that nobody had time for. */
  onDropped(frame: Frame): void {
    this.#snapshots.finish(frame);
  }

  /** Carries out a command from MQTT. */
  onCommand(...[, setting, value]: Exclude<Command, [string, 'model', string | null]>): void {
    if (setting === 'snapshot') this.#snapshots.requestSnapshot();
    else {
      this.#parts.choices.set(this.name, setting, value);
      this.#runInBackground(this.#applySetting(setting));
    }
  }

  async #applySetting(setting: Exclude<Setting, 'model'>): Promise<void> {
    const { choices, vision } = this.#parts;
    if (setting === 'enabled') await this.#supervisor.setEnabled(choices.current(this.name, setting));
    else if (setting === 'detect') vision.setDetect(this.name, choices.current(this.name, setting));
    else this.#decider.setThreshold(choices.chosen(this.name, setting));
  }

  #onStatus(status: CameraStatus, reason: string): void {
    // What failed is said by the supervisor.
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
      const { type, event } = change;
      this.#snapshots.attachSnapshot(change);
      const clock = this.#clocks.get(event.id) ?? this.#parts.judge.stamp(event.startedAt).clock;
      event.clock = clock;
      if (type === 'end') this.#clocks.delete(event.id);
      else this.#clocks.set(event.id, clock);
      logEvent(this.#log, change);
      this.#record(change);
      if (type !== 'update') this.#snapshots.save(change);
    }
    this.#publishLabels(new Set(changes.map(({ event }) => event.label)));
  }

  /** Writes and tells a step of an event. Its times are put right if the clock was wrong when it started. */
  #record({ type, event }: EventChange): void {
    const { store, publisher, judge } = this.#parts;
    const { shift, stamp } = judge.correction(event.clock ?? null);
    const told = {
      ...event,
      startedAt: event.startedAt + shift,
      endedAt: event.endedAt === null ? null : event.endedAt + shift,
      ...stamp,
    };
    const change = { type, event: told };
    const recorded = store.recordEvent(change, publisher.eventMessages(change));
    void recorded.then((committed) => committed && publisher.wake());
  }

  #publishLabels(labels: Iterable<string>): void {
    const open = new Set(this.#decider.open.map(({ label }) => label));
    for (const label of labels) this.#parts.publisher.setLabel(this.name, label, open.has(label));
  }

  /** Tells vision where to look again, when that has changed. */
  #updateOpenRegions(): void {
    const regions = this.#decider.openRegions;
    const key = JSON.stringify(regions);
    if (key === this.#openRegionsKey) return;
    this.#openRegionsKey = key;
    this.#parts.vision.setOpenRegions(this.name, regions);
  }

  #runInBackground(work: Promise<unknown>): void {
    const watched = work
      .then(
        () => {},
        (err: unknown) => this.#log.error({ err }, 'could not be done'),
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

/** Milliseconds between two pictures of a camera. */
function intervalMs({ config: { source } }: ResolvedCamera): number {
  return 1000 * (source.kind === 'libcamera' && source.mode === 'still' ? source.interval : 1 / source.fps);
}
