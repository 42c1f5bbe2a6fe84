/**
 * Keeps the board below the temperature at which it would slow itself down, by analysing fewer frames in time: a
 * processor that throttles slows everything, also what must not be slow.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../runtime/clock.ts';
import type { Service } from '../types.ts';
import { readThermals, type Thermals } from './board.ts';

/** What is done about the heat; times of change are told by whoever passes it on. */
export interface ThermalState {
  /** Share of the frames that are analysed, LEAST_SHARE…1. */
  share: number;
  limiting: boolean;
  temperature_c: number | null;
  limit_c: number;
}

/** Where Raspberry Pis begin to slow down is 80 °C (Raspberry Pi documentation, "Frequency management"). */
const USUAL_LIMIT_C = 75;
/** Distance that is kept to where the kernel begins. */
const RESERVE_C = 5;

/** What is analysed however hot it is. */
const LEAST_SHARE = 0.1;
/** Degrees below the limit at which frames begin to be left out. */
const AHEAD_C = 4;
/** Share for each degree too much, and for each degree and second that it lasts. */
const GAIN = 0.1;
const INTEGRAL_GAIN = 0.0005;
/** A board that slows itself down is taken for this much too hot at least, whatever its thermometer says. */
const THROTTLED_C = 3;

/**
 * A proportional-integral controller: how large a share of the frames may be analysed. It starts to act a few degrees
 * below the limit and comes to rest where the heat does. Pure.
 */
export class ThermalController {
  readonly #limit: number;
  /** What has proved to be bearable. */
  #integral = 1;

  /** @param limit °C */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * @param seconds since the last step
   * @returns share of the frames to analyse from now on; stays as it is while nothing is known
   */
  step({ temperature_c, throttled, throttle_reasons }: Thermals, seconds: number): number {
    // Less work does not mend a weak power supply.
    const slowed = throttled === true && !throttle_reasons.includes('under-voltage');
    if (temperature_c === null && !slowed) return this.#share(0);
    const room = this.#limit - AHEAD_C - (temperature_c ?? this.#limit - AHEAD_C);
    const error = slowed ? Math.min(room, -THROTTLED_C) : room;
    this.#integral = within(this.#integral + INTEGRAL_GAIN * error * seconds);
    return this.#share(Math.min(0, GAIN * error));
  }

  #share(proportional: number): number {
    return within(this.#integral + proportional);
  }
}

const within = (share: number) => Math.min(1, Math.max(LEAST_SHARE, share));

export interface ThermalGovernorOptions {
  /** °C; null: what fits the board. */
  limit: number | null;
  clock: Clock;
  log: Logger;
  /** Called when the share has changed by as much as matters. */
  onChange: (state: ThermalState) => void;
  /** Folder that stands for `/`. */
  root?: string;
}

const INTERVAL_MS = 2000;
/** Smaller changes of the share are not told. */
const STEP = 0.05;

export class ThermalGovernor implements Service {
  readonly #options: ThermalGovernorOptions;
  #controller: ThermalController | null = null;
  #limit = USUAL_LIMIT_C;
  #told: ThermalState | null = null;
  #lookedAt = 0;
  #looking: Promise<void> = Promise.resolve();
  #cancel = () => {};

  constructor(options: ThermalGovernorOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { limit, clock, root = '/' } = this.#options;
    this.#limit = limit ?? (await usualLimit(root));
    this.#controller = new ThermalController(this.#limit);
    this.#lookedAt = clock.monotonic();
    this.#cancel = clock.every(INTERVAL_MS, () => {
      this.#looking = this.#looking.then(() => this.#look());
    });
    await this.#look();
  }

  async stop(): Promise<void> {
    this.#cancel();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { clock, root = '/', onChange } = this.#options;
    const thermals = await readThermals({ root });
    const now = clock.monotonic();
    const share = this.#controller!.step(thermals, (now - this.#lookedAt) / 1000);
    this.#lookedAt = now;
    const before = this.#told;
    const changed = !before || Math.abs(share - before.share) >= STEP || (share === 1 && before.limiting);
    if (!changed) return;
    const { temperature_c } = thermals;
    this.#told = { share, limiting: share < 1, temperature_c, limit_c: this.#limit };
    this.#say(before, this.#told, thermals);
    onChange(this.#told);
  }

  #say(
    before: ThermalState | null,
    { share, limiting, temperature_c }: ThermalState,
    thermals: Thermals,
  ): void {
    const { log } = this.#options;
    const heat = temperature_c === null ? thermals.throttle_reasons.join(', ') : `${temperature_c} °C`;
    if (limiting) {
      const percent = Math.round(100 * share);
      const level = before?.limiting ? 'info' : 'warn';
      log[level](`${heat}, limit ${this.#limit} °C: ${percent} % of the frames are analysed`);
    } else if (before?.limiting) log.info(`${heat}: all frames are analysed again`);
  }
}

/** Below the first temperature at which the kernel slows a processor down, or below that of most boards. */
export async function usualLimit(root: string): Promise<number> {
  const folder = join(root, 'sys/class/thermal');
  const zones = (await readdir(folder).catch(() => [])).filter((name) => /^thermal_zone\d+$/.test(name));
  const trips: number[] = [];
  for (const zone of zones) {
    const home = join(folder, zone);
    if (!/cpu|x86_pkg|soc/i.test((await content(join(home, 'type'))) ?? '')) continue;
    for (const file of await readdir(home).catch(() => [])) {
      const [, number] = /^trip_point_(\d+)_type$/.exec(file) ?? [];
      if (number === undefined || (await content(join(home, file))) !== 'passive') continue;
      const celsius = Number(await content(join(home, `trip_point_${number}_temp`))) / 1000;
      if (celsius > 40 && celsius < 120) trips.push(celsius);
    }
  }
  return trips.length > 0 ? Math.min(...trips) - RESERVE_C : USUAL_LIMIT_C;
}

async function content(file: string): Promise<string | null> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch {
    return null;
  }
}
