/** The wiring: builds the parts, starts them, and stops them in the order of the data. */
import type { Logger } from 'pino';
import { readBoard } from './board/board.ts';
import { Governors } from './board/governors.ts';
import { HealthMonitor } from './board/health.ts';
import { Cameras, type End } from './cameras.ts';
import { FramePool } from './capture/frame-pool.ts';
import type { LoadedConfig } from './config/load-config.ts';
import { EXIT } from './errors.ts';
import { EventRecorder } from './event-recorder.ts';
import { FirstFrame } from './first-frame.ts';
import { HealthReports } from './health-reports.ts';
import type { Command } from './publish/commands.ts';
import { Publisher } from './publish/publisher.ts';
import { type Clock, systemClock } from './runtime/clock.ts';
import { scheduleGc } from './runtime/garbage.ts';
import { Parts } from './runtime/parts.ts';
import { notify, Watchdog } from './runtime/systemd.ts';
import { TimeJudge } from './runtime/time-judge.ts';
import { Choices } from './setup/choices.ts';
import { outerSpaces } from './setup/config-files.ts';
import { ConfigResolver } from './setup/config-resolver.ts';
import { deviceInfo } from './setup/device-info.ts';
import { ModelLog } from './setup/model-log.ts';
import { Reloader } from './setup/reloader.ts';
import { modelsInUse, publishedCameras, type Resolved } from './setup/resolved.ts';
import { Store } from './store/store.ts';
import type { Service } from './types.ts';
import { VERSION } from './version.ts';
import { type Models, Vision } from './vision/vision.ts';

const HOUR_MS = 3_600_000;

export interface DaemonOptions {
  log: Logger;
  clock?: Clock;
  random?: () => number;
  resolver?: ConfigResolver;
  /** Folder that stands for `/` where files of the board are read. */
  root?: string;
}

export class Daemon implements Service {
  /**
   * Resolves when the daemon should stop: every source has reached its end (exit code 0, or that of the error that
   * kept one from playing), or only a new process can help (exit code 70).
   */
  readonly ended: Promise<End>;
  readonly #loaded: LoadedConfig;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #resolver: ConfigResolver;
  readonly #root: string;
  readonly #parts: Parts;
  readonly #monitor: HealthMonitor;
  #cameras: Cameras | null = null;
  #reloader: Reloader | null = null;
  #vision: Vision | null = null;
  readonly #firstFrame: FirstFrame;
  #configError: string | null = null;
  #end: (end: End) => void = () => {};
  #starting: Promise<void> | null = null;
  readonly #stopping = new AbortController();

  constructor(loaded: LoadedConfig, options: DaemonOptions) {
    const { log, clock = systemClock, random = Math.random, resolver = new ConfigResolver() } = options;
    this.#loaded = loaded;
    this.#log = log;
    this.#clock = clock;
    this.#random = random;
    this.#resolver = resolver;
    this.#root = options.root ?? '/';
    this.#firstFrame = new FirstFrame(clock, log);
    this.#parts = new Parts(log, this.#stopping.signal);
    this.#monitor = new HealthMonitor({ clock, cameras: Object.keys(loaded.config.cameras) });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Frames that went through the whole pipeline since the start. */
  get finished(): number {
    return this.#monitor.finished;
  }

  /** A thread hangs, so this process cannot end without being killed. */
  get stuck(): boolean {
    return this.#vision?.stuck ?? false;
  }

  /** @throws LookoutError when a part cannot start; `stop` then stops those that did. */
  start(): Promise<void> {
    this.#starting = this.#startParts();
    return this.#starting;
  }

  /** Reloads the configuration and applies what can change without a restart; see Reloader. */
  reload(read: () => Promise<LoadedConfig>): void {
    if (this.#reloader) this.#reloader.reload(read);
    else this.#log.warn('reload ignored: still starting');
  }

  /**
   * Stops in the order of the data, so that what was seen is still written and sent: cameras, vision, open events,
   * broker, database. A start that has not finished is cut short.
   */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await notify('STOPPING=1');
    // The caller of `start` has reported why it failed.
    await this.#starting?.catch(() => {});
    this.#reloader?.stop();
    await this.#parts.stop();
    this.#log.info('stopped');
    this.#log.flush();
  }

  async #startParts(): Promise<void> {
    const { config } = this.#loaded;
    const log = this.#log;
    const clock = this.#clock;
    const monitor = this.#monitor;
    const parts = this.#parts;
    const { signal } = this.#stopping;
    log.info(`Lookout ${VERSION}, ${this.#loaded.file ?? 'embedded defaults (no configuration file)'}`);
    for (const warning of [...this.#loaded.warnings, ...(await outerSpaces(config))]) log.warn(warning);

    const resolved = await this.#resolver.resolve(this.#loaded);
    const ambiguous = [...resolved.models.values()].flatMap(({ compiled }) => compiled.warnings);
    for (const warning of new Set(ambiguous)) log.warn(warning);
    const modelsByCamera = new Map([...resolved.cameras].map(([name, { models }]) => [name, models]));
    const vision = this.#createVision(modelsInUse(resolved.models, modelsByCamera));
    this.#vision = vision;
    const judge = new TimeJudge({
      clock,
      log,
      root: this.#root,
      tolerance: config.time.tolerance * HOUR_MS,
      settle: config.time.settle * HOUR_MS,
    });
    const store = new Store({ ...config.store, config: config.store, clock, log, judge, signal });
    const choices = new Choices({
      config,
      models: resolved.models.keys(),
      store,
      clock,
      judge,
      log,
      onSaved: (camera, setting) => {
        if (setting === 'model') this.#reloader?.confirm(camera);
        else this.#cameras?.byName.get(camera)?.confirm(setting);
      },
    });
    const publisher = new Publisher({
      config: config.mqtt,
      device: config.device,
      cameras: publishedCameras(modelsByCamera),
      begin: this.#firstFrame.calm,
      models: [...resolved.models.keys()],
      outbox: store,
      store,
      clock,
      log,
      random: this.#random,
      onCommand: (command) => this.#onCommand(choices, command),
    });
    const recorder = new EventRecorder({ store, publisher, judge, log });
    // They are closed after vision, which may still deliver analyses while it stops, and before the broker.
    const openEvents: Service = {
      start: () => recorder.endLeftOpen(),
      stop: async () => this.#cameras?.close(),
    };
    parts.register('time', judge);
    parts.register('store', store);
    parts.register('choices', choices);
    parts.register('mqtt', publisher);
    parts.register('open events', openEvents);
    parts.register('health', monitor);
    parts.register('vision', vision);
    // Loading models takes the longest: time, database and broker start meanwhile.
    const loading = parts.start(vision);
    loading.catch(() => {});
    await parts.start(judge);
    await parts.start(store);
    log.info(`database ${config.store.file}, snapshots in ${config.store.snapshots}`);
    await parts.start(choices);
    await parts.start(publisher);
    if (publisher.address) log.info(`MQTT ${publisher.address}, topics ${publisher.topic}/#`);
    await parts.start(openEvents);
    await parts.start(monitor);
    signal.throwIfAborted();
    await loading;

    const governors = new Governors({
      thermal: config.thermal,
      clock,
      log,
      root: this.#root,
      frames: () => monitor.totals,
      onRate: (share) => vision.setAnalysisRate(share),
      onThermal: (state) => publisher.setThermal(state),
    });
    await this.#register('governors', governors);
    const cameras = new Cameras({
      resolved: resolved.cameras,
      vision,
      store,
      publisher,
      recorder,
      choices,
      pool: new FramePool(),
      logThreshold: config.store.log_threshold,
      clock,
      log,
      random: this.#random,
      judge,
      monitor,
      onEnd: this.#end,
    });
    this.#cameras = cameras;

    const { model: board } = await readBoard({ root: this.#root });
    const modelLog = new ModelLog(log);
    const publishInfo = (current: Resolved, configError: string | null) => {
      modelLog.update(current, vision.infos);
      this.#configError = configError;
      publisher.setInfo(deviceInfo({ board, resolved: current, sessions: vision.infos, configError }));
    };
    publishInfo(resolved, null);
    this.#reloader = new Reloader({
      loaded: this.#loaded,
      resolved,
      cameras: cameras.byName,
      vision,
      publisher,
      resolver: this.#resolver,
      choices,
      log,
      onChange: publishInfo,
    });
    await this.#reloader.start();
    await this.#register('cameras', cameras);

    this.#firstFrame.expect();
    const reports = new HealthReports({
      interval: config.health_interval * 1000,
      monitor,
      store,
      publisher,
      problems: () => ({
        configError: this.#configError,
        pressure: governors.pressure,
        thermal: governors.thermal,
        timeDoubt: judge.known ? null : judge.doubt,
      }),
      clock,
      log,
    });
    await this.#register('health reports', reports);
    const idle = () => monitor.pending === 0;
    const watchdog = new Watchdog({ clock, log, progress: () => monitor.finished, idle });
    await this.#register('watchdog', watchdog);
    scheduleGc();
    await notify('READY=1', `STATUS=watching ${[...cameras.byName.keys()].join(', ')}`);
  }

  #createVision(models: Models): Vision {
    return new Vision({
      ...models,
      cameras: this.#loaded.config.cameras,
      clock: this.#clock,
      log: this.#log,
      onAnalysis: (analysis, frame) => {
        this.#monitor.frame(analysis.camera, analysis);
        if (analysis.scores.length > 0) this.#firstFrame.classified(analysis.camera);
        this.#cameras?.byName.get(frame.camera)?.onAnalysis(analysis, frame);
      },
      onDropped: (frame) => {
        this.#monitor.dropped(frame.camera);
        this.#cameras?.byName.get(frame.camera)?.onDropped(frame);
      },
      onStuck: (reason) => this.#end({ reason, code: EXIT.internal }),
    });
  }

  async #register(name: string, part: Service): Promise<void> {
    this.#parts.register(name, part);
    await this.#parts.start(part);
  }

  #onCommand(choices: Choices, command: Command): void {
    const camera = this.#cameras?.byName.get(command.camera);
    if (command.setting === 'snapshot') camera?.requestSnapshot();
    // During the start: the cameras and the reloader apply the choice when they start.
    else if (!camera || !this.#reloader) choices.set(command);
    else if (command.setting === 'model') this.#reloader.select(command.camera, command.value);
    else camera.set(command);
  }
}
