/**
 * Runtime settings: what a client has chosen over MQTT in place of the configuration. A choice is saved in the database
 * and applies after a restart too, until it is reset or the configuration's value is no longer the one that the choice
 * replaced.
 */
import type { Logger } from 'pino';
import type { LoadedConfig } from '../config/load-config.ts';
import type { CameraConfig } from '../config/schema.ts';
import { LookoutError, messageOf } from '../errors.ts';
import type { SettingCommand, SettingValues } from '../publish/commands.ts';
import { statePayload } from '../publish/payloads.ts';
import type { Setting } from '../publish/topics.ts';
import type { Clock } from '../runtime/clock.ts';
import { CLOCK_UNSET, type TimeJudge } from '../runtime/time-judge.ts';
import { localTime } from '../runtime/time-text.ts';
import type { Store } from '../store/store.ts';
import type { Choice } from '../store/store-types.ts';
import type { Service } from '../types.ts';
import { modelOf } from './camera-model.ts';

/** Milliseconds until a failed write is retried. */
const RETRY_MS = 30_000;

type Settings = LoadedConfig['config'];

export interface ChoicesOptions {
  config: Settings;
  /** Names of the configured models. */
  models: Iterable<string>;
  store: Pick<Store, 'choices' | 'choose'>;
  clock: Clock;
  /** Gives the time of a choice, if it is known. */
  judge: Pick<TimeJudge, 'now'>;
  log: Logger;
  /** Called when the latest choice of a setting is on the disk, or its write has failed and is logged. */
  onSaved: (camera: string, setting: Setting) => void;
}

export class Choices implements Service {
  readonly #options: ChoicesOptions;
  #config: Settings;
  #models: ReadonlySet<string>;
  readonly #chosen = new Map<string, Choice>();
  /** What the database has. */
  readonly #saved = new Map<string, Choice>();
  /** Settings whose latest choice is not written yet. */
  readonly #changed = new Map<string, { camera: string; setting: Setting }>();
  #writing: Promise<void> | null = null;
  #failing = false;
  #cancelRetry = () => {};

  constructor(options: ChoicesOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#models = new Set(options.models);
  }

  /**
   * Reads the choices and logs those that apply.
   * @throws LookoutError STORE_* when they cannot be read: no camera may run before they are known
   */
  async start(): Promise<void> {
    for (const choice of await this.#options.store.choices()) {
      const key = keyOf(choice.camera, choice.setting);
      this.#saved.set(key, choice);
      this.#chosen.set(key, choice);
    }
    this.#dropOutdated();
    for (const choice of this.#chosen.values()) this.#logChoice(choice);
  }

  /** The chosen value; null without one. */
  chosen<S extends Setting>(camera: string, setting: S): SettingValues[S] | null {
    const choice = this.#chosen.get(keyOf(camera, setting));
    return choice === undefined ? null : (JSON.parse(choice.value) as SettingValues[S]);
  }

  /** The value that applies, for a setting with one value for the whole camera. */
  current<S extends 'enabled' | 'detect' | 'model'>(camera: string, setting: S): SettingValues[S] {
    return this.chosen(camera, setting) ?? (configured(this.#config, camera, setting) as SettingValues[S]);
  }

  /** The chosen models by camera, as far as they would apply under another configuration. */
  modelsUnder(config: Settings, models: Iterable<string>): ReadonlyMap<string, string> {
    const available = new Set(models);
    const applying = [...this.#chosen.values()].filter(
      (choice) => choice.setting === 'model' && faultOf(choice, config, available) === null,
    );
    return new Map(applying.map(({ camera, value }) => [camera, JSON.parse(value) as string]));
  }

  /** Makes a choice. Null, or the configured value, resets the setting. */
  set({ camera, setting, value }: SettingCommand): void {
    const key = keyOf(camera, setting);
    const inConfig = JSON.stringify(configured(this.#config, camera, setting));
    const text = JSON.stringify(value);
    if (value === null || text === inConfig) this.#chosen.delete(key);
    else if (this.#chosen.get(key)?.value !== text) {
      const chosenAt = this.#options.judge.now() ?? 0;
      this.#chosen.set(key, { camera, setting, value: text, configured: inConfig, chosenAt });
    }
    this.#changed.set(key, { camera, setting });
    this.#write();
  }

  /** Takes over a reloaded configuration. */
  follow(config: Settings, models: Iterable<string>): void {
    this.#config = config;
    this.#models = new Set(models);
    this.#dropOutdated();
  }

  /** Resolves when all choices are written, or their write has failed. */
  async stop(): Promise<void> {
    this.#cancelRetry();
    await this.#writing;
  }

  /** Drops the choices that no longer apply under the configuration. */
  #dropOutdated(): void {
    for (const choice of this.#chosen.values()) {
      const fault = faultOf(choice, this.#config, this.#models);
      if (fault === null) continue;
      const { camera, setting } = choice;
      this.#options.log.info(
        { camera, setting },
        `${setting} of ${camera}: runtime setting ${shown(choice)} dropped, the configuration applies again: ${fault}`,
      );
      const key = keyOf(camera, setting);
      this.#chosen.delete(key);
      this.#changed.set(key, { camera, setting: setting as Setting });
    }
    if (this.#changed.size > 0) this.#write();
  }

  #logChoice(choice: Choice): void {
    const { camera, setting, chosenAt } = choice;
    if (!Object.hasOwn(this.#config.cameras, camera)) return;
    const since = chosenAt < CLOCK_UNSET ? '' : ` since ${localTime(chosenAt)}`;
    this.#options.log.warn(
      {
        camera,
        setting,
        hint: `To go back to the configuration, run \`lookout choices clear ${camera} ${setting}\`.`,
      },
      `${setting} of ${camera} is ${shown(choice)}${since}, as set over MQTT`,
    );
  }

  #write(): void {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = null;
    });
  }

  /** Writes one transaction after another: choices made during one form the next. */
  async #drain(): Promise<void> {
    const { store, clock, log, onSaved } = this.#options;
    while (this.#changed.size > 0) {
      const changed = [...this.#changed];
      this.#changed.clear();
      const keep: Choice[] = [];
      const forget: Choice[] = [];
      for (const [key] of changed) {
        const [chosen, saved] = [this.#chosen.get(key), this.#saved.get(key)];
        if (chosen && chosen !== saved) keep.push(chosen);
        else if (!chosen && saved) forget.push(saved);
      }
      try {
        if (keep.length + forget.length > 0) await store.choose({ keep, forget });
        for (const choice of keep) this.#saved.set(keyOf(choice.camera, choice.setting), choice);
        for (const { camera, setting } of forget) this.#saved.delete(keyOf(camera, setting));
        if (this.#failing) log.info('runtime settings are saved again');
        this.#failing = false;
      } catch (error) {
        if (!this.#failing) {
          const { code, hint } = error instanceof LookoutError ? error : { code: 'STORE_UNWRITABLE' };
          log.error(
            { code, hint },
            `cannot save runtime settings, they apply until the next restart only: ${messageOf(error)}`,
          );
        }
        this.#failing = true;
        this.#cancelRetry();
        this.#cancelRetry = clock.after(RETRY_MS, () => {
          for (const [key, { camera, setting }] of [...this.#saved, ...this.#chosen]) {
            if (this.#chosen.get(key) !== this.#saved.get(key))
              this.#changed.set(key, { camera, setting: setting as Setting });
          }
          this.#write();
        });
      }
      for (const [, { camera, setting }] of changed) onSaved(camera, setting);
    }
  }
}

const keyOf = (camera: string, setting: string) => `${camera}/${setting}`;

const shown = ({ value }: Choice) => statePayload(JSON.parse(value) as boolean | number | string);

/** The configured value of a setting; for the threshold, those of all labels. */
function configured(config: Settings, name: string, setting: string): unknown {
  const camera = config.cameras[name];
  if (!camera) return null;
  switch (setting as Setting) {
    case 'enabled':
      return camera.enabled;
    case 'detect':
      return camera.detect;
    case 'model':
      return modelOf(camera, null);
    case 'threshold':
      return thresholds(config.labels, camera.labels);
  }
}

function thresholds(...layers: CameraConfig['labels'][]): Record<string, number> {
  const set = layers.flatMap((labels) =>
    Object.entries(labels).flatMap(([label, { on }]) => (on === undefined ? [] : [[label, on] as const])),
  );
  return Object.fromEntries(set.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Why a choice does not apply under a configuration; null: it does. A choice for a missing camera is kept. */
function faultOf(choice: Choice, config: Settings, models: ReadonlySet<string>): string | null {
  const { camera, setting, value } = choice;
  if (!Object.hasOwn(config.cameras, camera)) return null;
  if (JSON.stringify(configured(config, camera, setting)) !== choice.configured)
    return 'the configured value has changed';
  if (setting === 'model' && !models.has(JSON.parse(value) as string))
    return 'the model is no longer configured';
  return null;
}
