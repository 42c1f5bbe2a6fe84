/**
 * Changes models and labels while Lookout runs: by a command that selects the model of a camera, or by a reload of the
 * configuration. One change at a time; each is made completely or, with an error, not at all:
 *
 *   resolve ─▶ load new models ─▶ end events that cannot continue with them ─▶ next frame: new models ─▶ release old
 */
import type { Logger } from 'pino';
import type { LoadedConfig } from '../config/load-config.ts';
import type { CameraModels } from '../decide/decider.ts';
import { LookoutError, messageOf } from '../errors.ts';
import type { Publisher } from '../publish/publisher.ts';
import { redact } from '../runtime/secrets.ts';
import type { Vision } from '../vision/vision.ts';
import { modelOf } from './camera-model.ts';
import type { Choices } from './choices.ts';
import type { ConfigResolver } from './config-resolver.ts';
import { takeOver } from './reloadable.ts';
import { cameraModels, modelsInUse, publishedCameras, type Resolved } from './resolved.ts';

/** The part of a camera that changes while it runs. */
export interface ReloadableCamera {
  /** Uses other models or labels from the next frame on. */
  setModels(models: CameraModels): void;
  /** Publishes the states of its labels. */
  publishLabels(): void;
  /** Applies what is chosen or configured now. */
  applySettings(): Promise<void>;
}

export interface ReloaderOptions {
  loaded: LoadedConfig;
  resolved: Resolved;
  cameras: ReadonlyMap<string, ReloadableCamera>;
  vision: Pick<Vision, 'swap'>;
  publisher: Pick<Publisher, 'confirm' | 'setCameras' | 'setSetting'>;
  resolver: Pick<ConfigResolver, 'resolve'>;
  choices: Pick<Choices, 'current' | 'modelsUnder' | 'set' | 'follow'>;
  log: Logger;
  /** Called after each change, and with the reason when a configuration is refused. */
  onChange: (resolved: Resolved, configError: string | null) => void;
}

export class Reloader {
  readonly #options: ReloaderOptions;
  #loaded: LoadedConfig;
  #resolved: Resolved;
  #configError: string | null = null;
  #queue = Promise.resolve();
  #stopping = false;

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#loaded = options.loaded;
    this.#resolved = options.resolved;
  }

  /** Applies the models that were chosen before the restart; if they fail to load, those choices are reset. */
  async start(): Promise<void> {
    const chosen = this.#chosen();
    this.#enqueue(async () => {
      if (chosen.size === 0 || (await this.#attempt('cannot use the chosen models', this.#resolved, chosen)))
        return;
      for (const camera of chosen.keys())
        this.#options.choices.set({ camera, setting: 'model', value: null });
    });
    await this.#queue;
    this.#publishModels();
  }

  /**
   * Selects the model of a camera, except for zones that name their own.
   * @param model its name; null: that of the configuration
   */
  select(camera: string, model: string | null): void {
    this.#enqueue(async () => {
      const { choices } = this.#options;
      const chosen = new Map(this.#chosen());
      const selected = model ?? modelOf(this.#resolved.cameras.get(camera)!.config, null);
      chosen.set(camera, selected);
      if (await this.#attempt(`the model of ${camera} is unchanged`, this.#resolved, chosen)) {
        choices.set({ camera, setting: 'model', value: selected });
      } else this.confirm(camera);
    });
  }

  /** Reloads the configuration; an invalid one changes nothing. */
  reload(read: () => Promise<LoadedConfig>): void {
    this.#enqueue(async () => {
      const { choices, resolver, cameras, log } = this.#options;
      try {
        const { config, waiting } = takeOver(this.#loaded.config, (await read()).config);
        const loaded = { ...this.#loaded, config };
        this.#configError = null;
        const resolved = await resolver.resolve(loaded);
        await this.#change(resolved, choices.modelsUnder(config, resolved.models.keys()));
        this.#loaded = loaded;
        choices.follow(config, resolved.models.keys());
        this.#publishModels();
        await Promise.all([...cameras.values()].map((camera) => camera.applySettings()));
        log.info('configuration reloaded: models, labels and groups updated');
        if (waiting.length > 0) {
          log.warn(`these settings need a restart: ${waiting.join(', ')}`);
        }
      } catch (error) {
        this.#configError = redact(messageOf(error));
        this.#logFailure(error, 'reload failed, the configuration is unchanged');
        this.#options.onChange(this.#resolved, this.#configError);
      }
    });
  }

  /** Publishes the model of a camera, whether it has changed or not. */
  confirm(camera: string): void {
    const { publisher, choices } = this.#options;
    publisher.confirm({ camera, setting: 'model', value: choices.current(camera, 'model') });
  }

  /** Drops the changes that wait; one that is in flight fails without a log line. */
  stop(): void {
    this.#stopping = true;
  }

  #enqueue(change: () => Promise<void>): void {
    this.#queue = this.#queue.then(() => (this.#stopping ? undefined : change()));
  }

  #chosen(): ReadonlyMap<string, string> {
    return this.#options.choices.modelsUnder(this.#loaded.config, this.#resolved.models.keys());
  }

  /** Makes a change, or logs why it fails. Returns whether it was made. */
  async #attempt(
    outcome: string,
    resolved: Resolved,
    selected: ReadonlyMap<string, string>,
  ): Promise<boolean> {
    try {
      await this.#change(resolved, selected);
      return true;
    } catch (error) {
      this.#logFailure(error, outcome);
      return false;
    }
  }

  async #change(resolved: Resolved, selected: ReadonlyMap<string, string>): Promise<void> {
    const { vision, publisher, cameras, onChange } = this.#options;
    const models = new Map(
      [...resolved.cameras].map(([name, { config, models }]) => {
        const model = selected.get(name);
        return [
          name,
          model === undefined ? models : cameraModels(resolved.models, name, { ...config, model }),
        ];
      }),
    );
    await vision.swap(modelsInUse(resolved.models, models), () => {
      for (const [name, camera] of cameras) camera.setModels(models.get(name)!);
    });
    this.#resolved = resolved;
    publisher.setCameras(publishedCameras(models), [...resolved.models.keys()]);
    for (const camera of cameras.values()) camera.publishLabels();
    onChange(resolved, this.#configError);
  }

  #publishModels(): void {
    const { publisher, choices } = this.#options;
    for (const name of this.#resolved.cameras.keys()) {
      publisher.setSetting({ camera: name, setting: 'model', value: choices.current(name, 'model') });
    }
  }

  #logFailure(error: unknown, outcome: string): void {
    if (this.#stopping) return;
    const details = error instanceof LookoutError ? { code: error.code, hint: error.hint } : { err: error };
    this.#options.log.error(details, `${outcome}: ${messageOf(error)}`);
  }
}
