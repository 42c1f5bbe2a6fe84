/**
 * What was chosen over MQTT while Lookout runs, in place of what the configuration says. A choice is kept in the
 * database and counts at the next start too, until it is taken back or the configuration says something else than it
 * did when the choice was made.
 */
import type { Logger } from 'pino';
import type { LoadedConfig } from '../config/load-config.ts';
import type { CameraConfig } from '../config/schema.ts';
import { LookoutError, messageOf } from '../errors.ts';
import type { SettingValues } from '../publish/commands.ts';
import { statePayload } from '../publish/payloads.ts';
import type { Setting } from '../publish/topics.ts';
import type { Clock } from '../runtime/clock.ts';
import { CLOCK_UNSET, type TimeJudge } from '../runtime/time-judge.ts';
import { localTime } from '../runtime/time-text.ts';
import type { Store } from '../store/store.ts';
import type { Choice } from '../store/store-types.ts';
import { modelOf } from './camera-model.ts';

/** Milliseconds until what could not be written is tried again. */
const RETRY_MS = 30_000;

type Settings = LoadedConfig['config'];

export interface ChoicesOptions {
  config: Settings;
  /** Names of the models that there are. */
  models: Iterable<string>;
  store: Pick<Store, 'choices' | 'choose'>;
  clock: Clock;
  /** Says when something was chosen, if that is known. */
  judge: Pick<TimeJudge, 'now'>;
  log: Logger;
  /** Called when the latest choice of a setting is on the disk, or cannot be written just now, which the log says. */
  onKept: (camera: string, setting: Setting) => void;
}

export class Choices {
  readonly #options: ChoicesOptions;
  #config: Settings;
  #models: ReadonlySet<string>;
  readonly #chosen = new Map<string, Choice>();
  /** What the database has. */
  readonly #kept = new Map<string, Choice>();
  /** Settings whose latest choice is still to be written. */
  readonly #changed = new Map<string, [camera: string, setting: Setting]>();
  #writing: Promise<void> | null = null;
  #failing = false;
  #cancelRetry = () => {};

  constructor(options: ChoicesOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#models = new Set(options.models);
  }

  /**
   * Reads the choices and says in the log which of them count.
   * @throws LookoutError STORE_* when they cannot be read: no camera may run before they are known
   */
  async load(): Promise<void> {
    for (const choice of await this.#options.store.choices()) {
      const key = keyOf(choice.camera, choice.setting);
      this.#kept.set(key, choice);
      this.#chosen.set(key, choice);
    }
    this.#yield();
    for (const choice of this.#chosen.values()) this.#say(choice);
  }

  /** The value that was chosen; null: none was. */
  chosen<S extends Setting>(camera: string, setting: S): SettingValues[S] | null {
    const choice = this.#chosen.get(keyOf(camera, setting));
    return choice === undefined ? null : (JSON.parse(choice.value) as SettingValues[S]);
  }

  /** What counts for a setting that has one value for the camera. */
  current<S extends 'enabled' | 'detect' | 'model'>(camera: string, setting: S): SettingValues[S] {
    return this.chosen(camera, setting) ?? (configured(this.#config, camera, setting) as SettingValues[S]);
  }

  /** The models that were chosen, by camera, as far as another configuration would let them count. */
  modelsUnder(config: Settings, models: Iterable<string>): ReadonlyMap<string, string> {
    const there = new Set(models);
    const counting = [...this.#chosen.values()].filter(
      (choice) => choice.setting === 'model' && faultOf(choice, config, there) === null,
    );
    return new Map(counting.map(({ camera, value }) => [camera, JSON.parse(value) as string]));
  }

  /** Takes a choice; null, and what the configuration says anyway, take it back. */
  set<S extends Setting>(camera: string, setting: S, value: SettingValues[S] | null): void {
    const key = keyOf(camera, setting);
    const now = JSON.stringify(configured(this.#config, camera, setting));
    const text = JSON.stringify(value);
    if (value === null || text === now) this.#chosen.delete(key);
    else if (this.#chosen.get(key)?.value !== text) {
      const chosenAt = this.#options.judge.now() ?? 0;
      this.#chosen.set(key, { camera, setting, value: text, configured: now, chosenAt });
    }
    this.#changed.set(key, [camera, setting]);
    this.#write();
  }

  /** Follows a configuration that was read again. */
  follow(config: Settings, models: Iterable<string>): void {
    this.#config = config;
    this.#models = new Set(models);
    this.#yield();
  }

  /** Resolves when what was chosen is written, as far as it can be. */
  async stop(): Promise<void> {
    this.#cancelRetry();
    await this.#writing;
  }

  /** Gives up the choices whose setting the configuration has changed, or that cannot count any more. */
  #yield(): void {
    for (const choice of this.#chosen.values()) {
      const fault = faultOf(choice, this.#config, this.#models);
      if (fault === null) continue;
      const { camera, setting } = choice;
      this.#options.log.info(
        { camera, setting },
        `${setting} of ${camera}, chosen as ${shown(choice)} over MQTT, is that of the configuration again: ${fault}`,
      );
      const key = keyOf(camera, setting);
      this.#chosen.delete(key);
      this.#changed.set(key, [camera, setting as Setting]);
    }
    if (this.#changed.size > 0) this.#write();
  }

  #say(choice: Choice): void {
    const { camera, setting, chosenAt } = choice;
    if (!Object.hasOwn(this.#config.cameras, camera)) return;
    const since = chosenAt < CLOCK_UNSET ? '' : ` since ${localTime(chosenAt)}`;
    this.#options.log.warn(
      { camera, setting, hint: `\`lookout choices clear ${camera} ${setting}\` takes it back.` },
      `${setting} of ${camera} is ${shown(choice)}${since}, as chosen over MQTT`,
    );
  }

  #write(): void {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = null;
    });
  }

  /** One transaction after the other: what is chosen meanwhile makes the next one. */
  async #drain(): Promise<void> {
    const { store, clock, log, onKept } = this.#options;
    while (this.#changed.size > 0) {
      const changed = [...this.#changed];
      this.#changed.clear();
      const keep: Choice[] = [];
      const forget: Choice[] = [];
      for (const [key] of changed) {
        const [chosen, kept] = [this.#chosen.get(key), this.#kept.get(key)];
        if (chosen && chosen !== kept) keep.push(chosen);
        else if (!chosen && kept) forget.push(kept);
      }
      try {
        if (keep.length + forget.length > 0) await store.choose({ keep, forget });
        for (const choice of keep) this.#kept.set(keyOf(choice.camera, choice.setting), choice);
        for (const { camera, setting } of forget) this.#kept.delete(keyOf(camera, setting));
        if (this.#failing) log.info('what is chosen over MQTT is kept again');
        this.#failing = false;
      } catch (error) {
        if (!this.#failing) {
          const { code, hint } = error instanceof LookoutError ? error : { code: 'STORE_UNWRITABLE' };
          log.error(
            { code, hint },
            `what is chosen over MQTT counts until the next start only: ${messageOf(error)}`,
          );
        }
        this.#failing = true;
        this.#cancelRetry();
        this.#cancelRetry = clock.after(RETRY_MS, () => {
          for (const [key, { camera, setting }] of [...this.#kept, ...this.#chosen]) {
            if (this.#chosen.get(key) !== this.#kept.get(key))
              this.#changed.set(key, [camera, setting as Setting]);
          }
          this.#write();
        });
      }
      for (const [, setting] of changed) onKept(...setting);
    }
  }
}

const keyOf = (camera: string, setting: string) => `${camera}/${setting}`;

const shown = ({ value }: Choice) => statePayload(JSON.parse(value) as boolean | number | string);

/** What the configuration says of a setting; of the threshold, all that it says of the labels. */
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

/** Why a choice does not count under a configuration; null: it does, also one for a camera that is not there. */
function faultOf(choice: Choice, config: Settings, models: ReadonlySet<string>): string | null {
  const { camera, setting, value } = choice;
  if (!Object.hasOwn(config.cameras, camera)) return null;
  if (JSON.stringify(configured(config, camera, setting)) !== choice.configured)
    return 'what it says there was changed';
  if (setting === 'model' && !models.has(JSON.parse(value) as string))
    return 'there is no such model any more';
  return null;
}
