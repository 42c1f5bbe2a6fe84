/**
 * What changes while Lookout runs: the model of a camera by command, and models and labels by reading the
 * configuration anew. One change at a time; each is made as a whole or, with an error, not at all:
 *
 *   prepare ─▶ load new models ─▶ end the events that they cannot go on with ─▶ next frame: new models ─▶ release old
 */
import type { Logger } from 'pino';
import type { Camera } from './camera.ts';
import type { LoadedConfig } from './config/load.ts';
import { takeOver } from './config/reload.ts';
import { modelOf } from './decide/models.ts';
import { LookoutError, messageOf } from './errors.ts';
import { redact } from './platform/secrets.ts';
import { cameraModels, labelsOf, modelsInUse, type Prepared } from './prepared.ts';
import type { Preparer } from './preparer.ts';
import type { Publisher } from './publish/publisher.ts';
import type { Vision } from './vision/vision.ts';

export interface ChangesOptions {
  loaded: LoadedConfig;
  prepared: Prepared;
  cameras: ReadonlyMap<string, Camera>;
  vision: Vision;
  publisher: Publisher;
  preparer: Preparer;
  log: Logger;
  /** Called after each change, and with the reason when a configuration was refused. */
  onChange: (prepared: Prepared, configError: string | null) => void;
}

export class Changes {
  readonly #options: ChangesOptions;
  #loaded: LoadedConfig;
  #prepared: Prepared;
  /** Models that were chosen by command, by camera. */
  #selected: ReadonlyMap<string, string> = new Map();
  #configError: string | null = null;
  #turn = Promise.resolve();
  #stopping = false;

  constructor(options: ChangesOptions) {
    this.#options = options;
    this.#loaded = options.loaded;
    this.#prepared = options.prepared;
    this.#sayModels();
  }

  /** Has another model look at a camera, except for the zones that name their own. */
  select(camera: string, model: string): void {
    this.#enqueue(async () => {
      try {
        await this.#change(this.#prepared, new Map(this.#selected).set(camera, model));
      } catch (error) {
        this.#report(error, `the model of ${camera} stays as it was`);
      }
      this.#options.publisher.confirm(camera, 'model', this.#modelOf(camera));
    });
  }

  /** Reads the configuration anew; one that is not sound changes nothing. Models chosen by command are forgotten. */
  reload(read: () => Promise<LoadedConfig>): void {
    this.#enqueue(async () => {
      try {
        const { config, waiting } = takeOver(this.#loaded.config, (await read()).config);
        const loaded = { ...this.#loaded, config };
        this.#configError = null;
        await this.#change(await this.#options.preparer.prepare(loaded), new Map());
        this.#loaded = loaded;
        this.#sayModels();
        this.#options.log.info('configuration read anew: models, labels and groups are those of the file');
        if (waiting.length > 0) {
          this.#options.log.warn(`these settings change with the next start only: ${waiting.join(', ')}`);
        }
      } catch (error) {
        this.#configError = redact(messageOf(error));
        this.#report(error, 'the configuration stays as it was');
        this.#options.onChange(this.#prepared, this.#configError);
      }
    });
  }

  /** Nothing is changed any more; what is under way comes to nothing. */
  stop(): void {
    this.#stopping = true;
  }

  #enqueue(change: () => Promise<void>): void {
    this.#turn = this.#turn.then(() => (this.#stopping ? undefined : change()));
  }

  async #change(prepared: Prepared, selected: ReadonlyMap<string, string>): Promise<void> {
    const { vision, publisher, cameras, onChange } = this.#options;
    const models = new Map(
      [...prepared.cameras].map(([name, { config, models }]) => {
        const model = selected.get(name);
        return [
          name,
          model === undefined ? models : cameraModels(prepared.models, name, { ...config, model }),
        ];
      }),
    );
    await vision.swap(modelsInUse(prepared.models, models), () => {
      for (const [name, camera] of cameras) camera.setModels(models.get(name)!);
    });
    this.#prepared = prepared;
    this.#selected = selected;
    publisher.setCameras(
      [...models].map(([name, used]) => ({ name, labels: Object.keys(labelsOf(used)) })),
      [...prepared.models.keys()],
    );
    for (const camera of cameras.values()) camera.sayLabels();
    onChange(prepared, this.#configError);
  }

  #sayModels(): void {
    for (const name of this.#prepared.cameras.keys()) {
      this.#options.publisher.setSetting(name, 'model', this.#modelOf(name));
    }
  }

  #modelOf(camera: string): string {
    return this.#selected.get(camera) ?? modelOf(this.#prepared.cameras.get(camera)!.config, null);
  }

  #report(error: unknown, outcome: string): void {
    if (this.#stopping) return;
    const details = error instanceof LookoutError ? { code: error.code, hint: error.hint } : { err: error };
    this.#options.log.error(details, `${outcome}: ${messageOf(error)}`);
  }
}
