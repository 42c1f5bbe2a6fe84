/**
 * What changes while Lookout runs: the model of a camera by command, and models and labels by reading the
 * configuration anew. One change at a time; each is made as a whole or, with an error, not at all:
 *
 *   prepare ─▶ load new models ─▶ end the events that they cannot go on with ─▶ next frame: new models ─▶ release old
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
import { cameraModels, labelsOf, modelsInUse, type Resolved } from './resolved.ts';

/** What of a camera changes while it runs. */
export interface ReloadableCamera {
  /** Has other models or labels judged from now on. */
  setModels(models: CameraModels): void;
  /** Publishes the states of its labels. */
  publishLabels(): void;
  /** Takes over what is chosen or configured now. */
  applySettings(): Promise<void>;
}

export interface ReloaderOptions {
  loaded: LoadedConfig;
  resolved: Resolved;
  cameras: ReadonlyMap<string, ReloadableCamera>;
  vision: Vision;
  publisher: Publisher;
  resolver: ConfigResolver;
  choices: Choices;
  log: Logger;
  /** Called after each change, and with the reason when a configuration was refused. */
  onChange: (resolved: Resolved, configError: string | null) => void;
}

export class Reloader {
  readonly #options: ReloaderOptions;
  #loaded: LoadedConfig;
  #resolved: Resolved;
  #configError: string | null = null;
  #turn = Promise.resolve();
  #stopping = false;

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#loaded = options.loaded;
    this.#resolved = options.resolved;
  }

  /** Has the models look that were chosen before the start. */
  async start(): Promise<void> {
    const chosen = this.#chosen();
    this.#enqueue(async () => {
      if (chosen.size === 0 || (await this.#attempt('no chosen model counts', this.#resolved, chosen)))
        return;
      for (const camera of chosen.keys()) this.#options.choices.set(camera, 'model', null);
    });
    await this.#turn;
    this.#publishModels();
  }

  /** Has another model look at a camera, except for the zones that name their own; null: that of the configuration. */
  select(camera: string, model: string | null): void {
    this.#enqueue(async () => {
      const { choices } = this.#options;
      const chosen = new Map(this.#chosen());
      const wanted = model ?? modelOf(this.#resolved.cameras.get(camera)!.config, null);
      chosen.set(camera, wanted);
      if (await this.#attempt(`the model of ${camera} stays as it was`, this.#resolved, chosen)) {
        choices.set(camera, 'model', wanted);
      } else this.confirm(camera);
    });
  }

  /** Reads the configuration again; one that is not sound changes nothing. */
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
        log.info('configuration read again: models, labels and groups are those of the file');
        if (waiting.length > 0) {
          log.warn(`these settings change with the next start only: ${waiting.join(', ')}`);
        }
      } catch (error) {
        this.#configError = redact(messageOf(error));
        this.#report(error, 'the configuration stays as it was');
        this.#options.onChange(this.#resolved, this.#configError);
      }
    });
  }

  /** Says again which model looks at a camera. */
  confirm(camera: string): void {
    this.#options.publisher.confirm(camera, 'model', this.#options.choices.current(camera, 'model'));
  }

  /** Nothing is changed any more; what is under way comes to nothing. */
  stop(): void {
    this.#stopping = true;
  }

  #enqueue(change: () => Promise<void>): void {
    this.#turn = this.#turn.then(() => (this.#stopping ? undefined : change()));
  }

  #chosen(): ReadonlyMap<string, string> {
    return this.#options.choices.modelsUnder(this.#loaded.config, this.#resolved.models.keys());
  }

  /** Makes a change, or says why it cannot be made. Returns whether it was made. */
  async #attempt(
    outcome: string,
    resolved: Resolved,
    selected: ReadonlyMap<string, string>,
  ): Promise<boolean> {
    try {
      await this.#change(resolved, selected);
      return true;
    } catch (error) {
      this.#report(error, outcome);
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
    publisher.setCameras(
      [...models].map(([name, used]) => ({ name, labels: Object.keys(labelsOf(used)) })),
      [...resolved.models.keys()],
    );
    for (const camera of cameras.values()) camera.publishLabels();
    onChange(resolved, this.#configError);
  }

  #publishModels(): void {
    const { publisher, choices } = this.#options;
    for (const name of this.#resolved.cameras.keys()) {
      publisher.setSetting(name, 'model', choices.current(name, 'model'));
    }
  }

  #report(error: unknown, outcome: string): void {
    if (this.#stopping) return;
    const details = error instanceof LookoutError ? { code: error.code, hint: error.hint } : { err: error };
    this.#options.log.error(details, `${outcome}: ${messageOf(error)}`);
  }
}
