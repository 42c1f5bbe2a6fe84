/** The only wiring: builds the parts, starts them in order, stops them in reverse. */
import { randomFillSync } from 'node:crypto';
import type { Logger } from 'pino';
import { readBoard } from './board/board.ts';
import { HealthMonitor } from './board/health.ts';
import { PressureGovernor } from './board/memory-pressure.ts';
import { ThermalGovernor } from './board/thermal.ts';
import { Camera, type CameraParts } from './camera.ts';
import { FailureEscalation } from './capture/failure-escalation.ts';
import { FramePool } from './capture/frame-pool.ts';
import type { LoadedConfig } from './config/load-config.ts';
import { DEFAULT_MODEL } from './config/names.ts';
import { EXIT } from './errors.ts';
import { describeKernel } from './model/int8-kernel.ts';
import type { Command } from './publish/commands.ts';
import { Publisher } from './publish/publisher.ts';
import { type Clock, systemClock } from './runtime/clock.ts';
import { scheduleGc } from './runtime/garbage.ts';
import { createIdSource } from './runtime/id.ts';
import { notify, Watchdog } from './runtime/systemd.ts';
import { TimeJudge } from './runtime/time-judge.ts';
import { Choices } from './setup/choices.ts';
import { outerSpaces } from './setup/config-files.ts';
import { ConfigResolver } from './setup/config-resolver.ts';
import { Reloader } from './setup/reloader.ts';
import { labelsOf, modelsInUse, type Resolved } from './setup/resolved.ts';
import { Store } from './store/store.ts';
import type { StoreStats } from './store/store-types.ts';
import type { Service } from './types.ts';
import { VERSION } from './version.ts';
import { Vision } from './vision/vision.ts';

const HOUR_MS = 3_600_000;
/** How long the first frame has the processor for itself once all has started, in ms. */
const CALM_MS = 500;

export interface DaemonOptions {
  log: Logger;
  clock?: Clock;
  random?: () => number;
  resolver?: ConfigResolver;
  /** Folder that stands for `/` where the board is looked at. */
  root?: string;
}

/** Why the daemon should stop, and the exit code of its process. */
export interface End {
  reason: string;
  code: number;
}

export class Daemon implements Service {
  /**
   * Resolves when the daemon should stop by itself: every source has come to its end (exit code 0, or that of the
   * error that kept one from playing), or only a new process can help (exit code 70).
   */
  readonly ended: Promise<End>;
  readonly #loaded: LoadedConfig;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #resolver: ConfigResolver;
  readonly #root: string;
  /** What runs, in the order of its start. */
  readonly #running: { name: string; stop: () => Promise<void> }[] = [];
  readonly #cameras = new Map<string, Camera>();
  readonly #monitor: HealthMonitor;
  /** Shares of the frames that heat and memory allow to be analysed. */
  readonly #analysisRates = { heat: 1, memory: 1 };
  #pressure: PressureGovernor | null = null;
  /** Keys of the models that the log was told of since they are in use. */
  #loggedModels = new Set<string>();
  #reloader: Reloader | null = null;
  #classified = false;
  #judge: TimeJudge | null = null;
  /** Resolves when there is time for what the first frame does not need: it is classified, or long in coming. */
  readonly #calm = Promise.withResolvers<void>();
  #configError: string | null = null;
  #thermalProblem: string | null = null;
  #end: (end: End) => void = () => {};
  #vision: Vision | null = null;
  #starting: Promise<void> | null = null;
  readonly #stopping = new AbortController();

  /** Frames that went through the whole pipeline since the start. */
  get finished(): number {
    return this.#monitor.finished;
  }

  constructor(loaded: LoadedConfig, options: DaemonOptions) {
    const { log, clock = systemClock, random = Math.random, resolver = new ConfigResolver() } = options;
    this.#loaded = loaded;
    this.#log = log;
    this.#clock = clock;
    this.#random = random;
    this.#resolver = resolver;
    this.#root = options.root ?? '/';
    this.#monitor = new HealthMonitor({ clock, cameras: Object.keys(loaded.config.cameras) });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Something hangs in this process that keeps it from ending by itself. */
  get stuck(): boolean {
    return this.#vision?.stuck ?? false;
  }

  /** @throws LookoutError when a part cannot start; `stop` then ends those that did. */
  start(): Promise<void> {
    this.#starting = this.#startParts();
    return this.#starting;
  }

  async #startParts(): Promise<void> {
    const { config } = this.#loaded;
    const log = this.#log;
    const clock = this.#clock;
    log.info(`Lookout ${VERSION}, ${this.#loaded.file ?? 'embedded defaults (no configuration file)'}`);
    for (const warning of [...this.#loaded.warnings, ...(await outerSpaces(config))]) log.warn(warning);

    const resolved = await this.#resolver.resolve(this.#loaded);
    this.#warn(resolved);

    const monitor = this.#monitor;
    const vision = new Vision({
      ...modelsInUse(
        resolved.models,
        new Map([...resolved.cameras].map(([name, { models }]) => [name, models])),
      ),
      cameras: config.cameras,
      clock,
      log,
      onAnalysis: (analysis, frame) => {
        monitor.frame(analysis.camera, analysis);
        if (analysis.scores.length > 0) this.#logFirstResult(analysis.camera);
        this.#cameras.get(frame.camera)?.onAnalysis(analysis, frame);
      },
      onDropped: (frame) => {
        monitor.dropped(frame.camera);
        this.#cameras.get(frame.camera)?.onDropped(frame);
      },
      onStuck: (reason) => this.#end({ reason, code: EXIT.internal }),
    });
    this.#vision = vision;
    // Loading models takes the longest: time, database and broker are seen to meanwhile.
    const loading = vision.start();
    loading.catch(() => {});

    const judge = new TimeJudge({
      ...{ clock, log, root: this.#root },
      tolerance: config.time.tolerance * HOUR_MS,
      settle: config.time.settle * HOUR_MS,
    });
    await this.#start('time', judge);
    this.#judge = judge;
    const { signal } = this.#stopping;
    const store = new Store({ ...config.store, config: config.store, clock, log, judge, signal });
    await this.#start('store', store);
    log.info(`database ${config.store.file}, snapshots in ${config.store.snapshots}`);

    const choices = new Choices({
      ...{ config, models: resolved.models.keys(), store, clock, judge, log },
      onKept: (camera, setting) => {
        if (setting === 'model') this.#reloader?.confirm(camera);
        else this.#cameras.get(camera)?.confirm(setting);
      },
    });
    await this.#start('choices', { start: () => choices.load(), stop: () => choices.stop() });

    const publisher = new Publisher({
      config: config.mqtt,
      device: config.device,
      cameras: [...resolved.cameras].map(([name, camera]) => ({
        name,
        labels: Object.keys(labelsOf(camera.models)),
      })),
      begin: this.#calm.promise,
      models: [...resolved.models.keys()],
      outbox: store,
      store,
      clock,
      log,
      random: this.#random,
      onCommand: (...command) => this.#onCommand(choices, command),
    });
    await this.#start('mqtt', publisher);
    if (publisher.address) log.info(`MQTT ${publisher.address}, topics ${publisher.topic}/#`);
    await this.#endLeftOpen(store, publisher);

    const pool = new FramePool();
    await this.#start('health', monitor);
    await this.#start('vision', { start: () => loading, stop: () => vision.stop() });
    if (config.thermal.governor) await this.#startThermalGovernor(vision, publisher);
    await this.#startPressureGovernor(vision);
    this.#buildCameras(resolved, {
      ...{ vision, store, publisher, choices, pool, clock, log, monitor, judge },
    });
    const board = await readBoard({ root: this.#root });
    const publishInfo = (current: Resolved, configError: string | null) => {
      this.#logModels(current, vision);
      this.#configError = configError;
      const model = current.models.get(DEFAULT_MODEL)!;
      const running = vision.infos.get(model.key) ?? [...vision.infos.values()][0]!;
      publisher.setInfo({
        version: VERSION,
        board: board.model,
        model: model.description.name,
        model_sha256: model.sha256,
        provider: running.provider,
        int8_kernel: running.kernel.name,
        int8_kernel_reason: running.kernel.reason,
        cameras: [...this.#cameras.keys()],
        models: Object.fromEntries(
          [...current.models].map(([name, { description }]) => [name, description.name]),
        ),
        config_error: configError,
      });
    };
    publishInfo(resolved, null);
    this.#reloader = new Reloader({
      ...{
        loaded: this.#loaded,
        resolved,
        cameras: this.#cameras,
        vision,
        publisher,
        resolver: this.#resolver,
        choices,
        log,
      },
      onChange: publishInfo,
    });
    await this.#reloader.start();
    const cameras = [...this.#cameras.values()];
    await this.#start('cameras', {
      start: async () => void (await Promise.all(cameras.map((camera) => camera.start()))),
      stop: async () => void (await Promise.all(cameras.map((camera) => camera.stop()))),
    });

    clock.after(CALM_MS, this.#calm.resolve);

    const cancelHealth = clock.every(config.health_interval * 1000, () => {
      void this.#reportHealth(store, publisher);
    });
    this.#running.push({ name: 'health reports', stop: async () => cancelHealth() });
    const watchdog = new Watchdog({
      clock,
      log,
      progress: () => monitor.finished,
      idle: () => monitor.pending === 0,
    });
    await this.#start('watchdog', watchdog);
    scheduleGc();
    await notify('READY=1', `STATUS=watching ${[...this.#cameras.keys()].join(', ')}`);
  }

  /** Reads the configuration anew and takes over what can change without a restart; see Reloader. */
  reload(read: () => Promise<LoadedConfig>): void {
    if (this.#reloader) this.#reloader.reload(read);
    else this.#log.warn('the configuration is not read anew before the start is complete');
  }

  /**
   * Stops in the order of the data, so that what was seen is still written and sent: cameras, vision, open events,
   * broker, database. A start that has not finished is cut short.
   */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await notify('STOPPING=1');
    // What failed to start has been reported by whoever started it.
    await this.#starting?.catch(() => {});
    this.#reloader?.stop();
    // Another part may have failed to start while the models were loading.
    if (!this.#running.some(({ name }) => name === 'vision')) await this.#vision?.stop();
    for (let part = this.#running.pop(); part; part = this.#running.pop()) {
      try {
        await part.stop();
      } catch (err) {
        this.#log.error({ err }, `${part.name} did not stop cleanly`);
      }
      if (part.name === 'vision') {
        await Promise.all([...this.#cameras.values()].map((camera) => camera.close()));
      }
    }
    this.#log.info('stopped');
    this.#log.flush();
  }

  /** Has fewer frames analysed before the board gets too hot. */
  async #startThermalGovernor(vision: Vision, publisher: Publisher): Promise<void> {
    const governor = new ThermalGovernor({
      limit: this.#loaded.config.thermal.limit ?? null,
      clock: this.#clock,
      log: this.#log,
      root: this.#root,
      onChange: (state) => {
        this.#thermalProblem = state.limiting
          ? `it is hot: ${Math.round(100 * state.share)} % of the frames are analysed`
          : null;
        this.#setAnalysisRate(vision, 'heat', state.share);
        publisher.setThermal(state);
      },
    });
    await this.#start('thermal governor', governor);
  }

  /** Has fewer frames analysed while the board is short of memory, and says why frames are dropped. */
  async #startPressureGovernor(vision: Vision): Promise<void> {
    this.#pressure = new PressureGovernor({
      clock: this.#clock,
      log: this.#log,
      root: this.#root,
      frames: () => this.#monitor.totals,
      onShare: (share) => this.#setAnalysisRate(vision, 'memory', share),
    });
    await this.#start('pressure governor', this.#pressure);
  }

  #setAnalysisRate(vision: Vision, of: 'heat' | 'memory', share: number): void {
    this.#analysisRates[of] = share;
    vision.setAnalysisRate(Math.min(this.#analysisRates.heat, this.#analysisRates.memory));
  }

  async #start(name: string, part: Service): Promise<void> {
    this.#stopping.signal.throwIfAborted();
    this.#running.push({ name, stop: () => part.stop() });
    await part.start();
  }

  #onCommand(choices: Choices, command: Command): void {
    const [name, setting, value] = command;
    const camera = this.#cameras.get(name);
    // During the start: the cameras and models that come take it over.
    if (!camera || !this.#reloader) {
      if (setting !== 'snapshot') choices.set(name, setting, value);
    } else if (setting === 'model') this.#reloader.select(name, value);
    else camera.onCommand(...command);
  }

  #logFirstResult(camera: string): void {
    if (this.#classified) return;
    this.#classified = true;
    this.#calm.resolve();
    const seconds = process.uptime().toFixed(2);
    this.#log.info({ camera }, `first picture classified ${seconds} s after the start of the process`);
  }

  #warn({ models }: Resolved): void {
    const said = new Set([...models.values()].flatMap(({ compiled }) => compiled.warnings));
    for (const warning of said) this.#log.warn(warning);
  }

  /** Says what runs the models that are in use. */
  #logModels({ models }: Resolved, vision: Vision): void {
    for (const { key, description, note } of new Map(
      [...models.values()].map((model) => [model.key, model]),
    ).values()) {
      const info = vision.infos.get(key);
      if (!info || this.#loggedModels.has(key)) continue;
      const { name, input, warning } = description;
      const threads = `${info.threads} ${info.threads === 1 ? 'thread' : 'threads'}`;
      const level = info.kernel.name === 'saturating' ? 'warn' : 'info';
      const runs = `on ${info.provider} with ${threads}, ${describeKernel(info.kernel)}`;
      this.#log[level](`model ${name}, ${input.width}×${input.height}, ${runs}`);
      if (note) this.#log[note.problem ? 'warn' : 'info'](note.text);
      if (warning) this.#log.warn(warning);
    }
    this.#loggedModels = new Set(vision.infos.keys());
  }

  #buildCameras(
    resolved: Resolved,
    parts: Pick<
      CameraParts,
      'vision' | 'store' | 'publisher' | 'choices' | 'pool' | 'clock' | 'log' | 'judge'
    > & {
      monitor: HealthMonitor;
    },
  ): void {
    const newId = createIdSource(randomFillSync);
    const escalation = new FailureEscalation({
      log: this.#log,
      cameras: () =>
        [...this.#cameras.values()]
          .filter(({ idle, failure }) => !idle && failure === null)
          .map(({ name }) => name),
      onGiveUp: (reason) => this.#end({ reason, code: EXIT.internal }),
    });
    for (const [name, camera] of resolved.cameras) {
      const built = new Camera(name, camera, {
        ...parts,
        logThreshold: this.#loaded.config.store.log_threshold,
        random: this.#random,
        newId,
        onFrame: () => parts.monitor.captured(name),
        onFailures: (_, failures) => {
          // Neither another camera nor a new process helps where somebody has to put something right.
          escalation.report(name, built.failure === null ? failures : 0);
          if (built.failure) this.#onEnd();
        },
        onEnd: () => this.#onEnd(),
      });
      this.#cameras.set(name, built);
    }
  }

  /** What is wrong just now, each with its code. */
  #problems({ error, damage, throttled }: StoreStats): string[] {
    return [
      ...(error === null ? [] : [error]),
      ...(throttled === null ? [] : [`STORE_BUDGET: ${throttled}`]),
      ...(damage === null ? [] : [`STORE_CORRUPT: ${damage}`]),
      ...(this.#configError === null ? [] : [`CONFIG_INVALID: ${this.#configError}`]),
      ...(this.#pressure?.problem ? [`BOARD_OVERRUN: ${this.#pressure.problem}`] : []),
      ...(this.#thermalProblem === null ? [] : [`BOARD_OVERRUN: ${this.#thermalProblem}`]),
      ...(this.#judge?.known === false ? [`TIME_UNKNOWN: ${this.#judge.doubt}`] : []),
    ];
  }

  /** A replay has come to its end, or cannot play: when no camera has anything left to show, neither has the daemon. */
  #onEnd(): void {
    const cameras = [...this.#cameras.values()];
    if (!cameras.every(({ idle }) => idle)) return;
    const failed = cameras.find(({ failure }) => failure !== null);
    if (!failed?.failure) this.#end({ reason: 'every replay has come to its end', code: EXIT.ok });
    else {
      const { code, exitCode } = failed.failure;
      this.#end({ reason: `no camera has anything to play; ${failed.name}: ${code}`, code: exitCode });
    }
  }

  /** Ends the events that a crash or a power cut left open, at their last sign of life. */
  async #endLeftOpen(store: Store, publisher: Publisher): Promise<void> {
    const open = await store.leftOpen();
    for (const { event, lastSeenAt } of open) {
      const change = { type: 'end' as const, event: { ...event, endedAt: lastSeenAt } };
      void store.recordEvent(change, publisher.eventMessages(change));
    }
    // A disk that has become full must not hold up the start: what it does not take now waits in the queue.
    await store.flush();
    if (open.length > 0) this.#log.warn(`ended ${open.length} events that the last run left open`);
    publisher.wake();
  }

  async #reportHealth(store: Store, publisher: Publisher): Promise<void> {
    try {
      const stats = await store.stats();
      const health = await this.#monitor.sample(stats, this.#problems(stats));
      store.recordSample(health);
      publisher.publishHealth(health);
    } catch (err) {
      this.#log.error({ err }, 'health could not be measured');
    }
  }
}
