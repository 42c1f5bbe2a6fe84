/**
 * Keeps the board below its throttling temperature by analysing fewer frames in time: a processor that throttles slows
 * down everything, including what must stay fast.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../runtime/clock.ts';
import type { Service } from '../types.ts';
import { readThermals, type Thermals } from './board.ts';

/** The state of thermal throttling. */
export interface ThermalState {
  /** Share of the frames that are analysed, MIN_RATE…1. */
  analysisRate: number;
  limiting: boolean;
  temperature_c: number | null;
  limit_c: number;
}

/** Raspberry Pis begin to throttle at 80 °C (Raspberry Pi documentation, "Frequency management"). */
const DEFAULT_LIMIT_C = 75;
/** Distance to the temperature at which the kernel throttles. */
const RESERVE_C = 5;

/** Minimum share of the frames, at any temperature. */
const MIN_RATE = 0.1;
/** Degrees below the limit at which frames begin to be skipped. */
const AHEAD_C = 4;
/** Reduction of the rate per degree of excess, and per degree and second. */
const GAIN = 0.1;
const INTEGRAL_GAIN = 0.0005;
/** A board that throttles counts as at least this much too hot, whatever its sensor shows. */
const THROTTLED_C = 3;

/**
 * A proportional-integral controller of the analysis rate. It begins to act a few degrees below the limit and settles
 * when the temperature does. Pure.
 */
export class ThermalController {
  readonly #limit: number;
  /** The rate that the board can sustain. */
  #integral = 1;

  /** @param limit °C */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * @param seconds since the last step
   * @returns share of the frames to analyse from now on; unchanged while the temperature is unknown
   */
  step({ temperature_c, throttled, throttle_reasons }: Thermals, seconds: number): number {
    // Less work does not fix a weak power supply.
    const slowed = throttled === true && !throttle_reasons.includes('under-voltage');
    if (temperature_c === null && !slowed) return this.#rate(0);
    const room = this.#limit - AHEAD_C - (temperature_c ?? this.#limit - AHEAD_C);
    const error = slowed ? Math.min(room, -THROTTLED_C) : room;
    this.#integral = within(this.#integral + INTEGRAL_GAIN * error * seconds);
    return this.#rate(Math.min(0, GAIN * error));
  }

  #rate(proportional: number): number {
    return within(this.#integral + proportional);
  }
}

const within = (rate: number) => Math.min(1, Math.max(MIN_RATE, rate));

export interface ThermalGovernorOptions {
  /** °C; null: the default of the board. */
  limit: number | null;
  clock: Clock;
  log: Logger;
  /** Called when the rate has changed by at least STEP. */
  onChange: (state: ThermalState) => void;
  /** Folder that replaces `/`. */
  root?: string;
}

const INTERVAL_MS = 2000;
/** Smaller changes of the rate are not reported. */
const STEP = 0.05;

export class ThermalGovernor implements Service {
  readonly #options: ThermalGovernorOptions;
  #controller: ThermalController | null = null;
  #limit = DEFAULT_LIMIT_C;
  #reported: ThermalState | null = null;
  #checkedAt = 0;
  #checking: Promise<void> = Promise.resolve();
  #cancel = () => {};

  constructor(options: ThermalGovernorOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { limit, clock, root = '/' } = this.#options;
    this.#limit = limit ?? (await defaultLimit(root));
    this.#controller = new ThermalController(this.#limit);
    this.#checkedAt = clock.monotonic();
    this.#cancel = clock.every(INTERVAL_MS, () => {
      this.#checking = this.#checking.then(() => this.#check());
    });
    await this.#check();
  }

  async stop(): Promise<void> {
    this.#cancel();
    await this.#checking;
  }

  async #check(): Promise<void> {
    const { clock, root = '/', onChange } = this.#options;
    const thermals = await readThermals({ root });
    const now = clock.monotonic();
    const rate = this.#controller!.step(thermals, (now - this.#checkedAt) / 1000);
    this.#checkedAt = now;
    const before = this.#reported;
    const changed =
      !before || Math.abs(rate - before.analysisRate) >= STEP || (rate === 1 && before.limiting);
    if (!changed) return;
    const { temperature_c } = thermals;
    this.#reported = { analysisRate: rate, limiting: rate < 1, temperature_c, limit_c: this.#limit };
    this.#log(before, this.#reported, thermals);
    onChange(this.#reported);
  }

  #log(
    before: ThermalState | null,
    { analysisRate, limiting, temperature_c }: ThermalState,
    thermals: Thermals,
  ): void {
    const { log } = this.#options;
    const cause = temperature_c === null ? thermals.throttle_reasons.join(', ') : `${temperature_c} °C`;
    if (limiting) {
      const percent = Math.round(100 * analysisRate);
      const level = before?.limiting ? 'info' : 'warn';
      log[level](`${cause}, limit ${this.#limit} °C: analysing ${percent} % of the frames`);
    } else if (before?.limiting) log.info(`${cause}: analysing all frames again`);
  }
}

/** A few degrees below the first temperature at which the kernel throttles a processor; 75 °C if unknown. */
export async function defaultLimit(root: string): Promise<number> {
  const folder = join(root, 'sys/class/thermal');
  const zones = (await readdir(folder).catch(() => [])).filter((name) => /^thermal_zone\d+$/.test(name));
  const trips: number[] = [];
  for (const zone of zones) {
    const zoneFolder = join(folder, zone);
    if (!/cpu|x86_pkg|soc/i.test((await content(join(zoneFolder, 'type'))) ?? '')) continue;
    for (const file of await readdir(zoneFolder).catch(() => [])) {
      const [, number] = /^trip_point_(\d+)_type$/.exec(file) ?? [];
      if (number === undefined || (await content(join(zoneFolder, file))) !== 'passive') continue;
      const celsius = Number(await content(join(zoneFolder, `trip_point_${number}_temp`))) / 1000;
      if (celsius > 40 && celsius < 120) trips.push(celsius);
    }
  }
  return trips.length > 0 ? Math.min(...trips) - RESERVE_C : DEFAULT_LIMIT_C;
}

async function content(file: string): Promise<string | null> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch {
    return null;
  }
}
