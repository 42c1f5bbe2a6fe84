/**
 * Power consumption of boards with a meter: RAPL counters (Intel, AMD) or INA power sensors (all Jetsons, some carrier
 * boards and HATs).
 */
import { readdir, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';

/** A meter: `read` returns joules for a counter, current watts for a sensor, null if unreadable. */
export interface PowerSource {
  name: string;
  kind: 'counter' | 'sensor';
  read: () => Promise<number | null>;
  /** Joules at which a counter wraps to 0. */
  wrap: number;
}

/** Sensor rails that carry the total power of a Jetson. */
const WHOLE_BOARD = /^(VDD_IN|POM_5V_IN|VIN_SYS_5V0|VIN)$/;

/**
 * The meter of this machine; null if it has no readable one.
 * @param root folder that replaces `/`
 */
export async function findPowerSource(root = '/'): Promise<PowerSource | null> {
  for (const source of [await rapl(root), await ina(root)]) {
    if (source && (await source.read()) !== null) return source;
  }
  return null;
}

/** The counter of the platform if there is one, else all processor packages (Documentation/power/powercap/powercap.rst). */
async function rapl(root: string): Promise<PowerSource | null> {
  const folder = join(root, 'sys/class/powercap');
  const zones = await Promise.all(
    (await names(folder, /^intel-rapl:\d+$/)).map(async (zone) => ({
      path: join(folder, zone),
      name: (await content(join(folder, zone, 'name'))) ?? '',
    })),
  );
  const platform = zones.filter(({ name }) => name === 'psys');
  const counted = platform.length > 0 ? platform : zones.filter(({ name }) => name.startsWith('package'));
  if (counted.length === 0) return null;
  const micro = async (file: string) => sum(counted.map(({ path }) => number(join(path, file))));
  return {
    name: `RAPL ${counted.map(({ name }) => name).join(' + ')}`,
    kind: 'counter',
    read: async () => scaled(await micro('energy_uj'), 1e-6),
    wrap: ((await micro('max_energy_range_uj')) ?? Number.POSITIVE_INFINITY) * 1e-6,
  };
}

interface Rail {
  label: string;
  watts: () => Promise<number | null>;
}

/** The rail of the entire board if there is one, else the sum of all rails. */
async function ina(root: string): Promise<PowerSource | null> {
  const rails: Rail[] = [];
  for (const folder of await hwmonFolders(root)) {
    const chip = await content(join(folder, 'name'));
    if (!chip || !/^ina\d+/i.test(chip)) continue;
    rails.push(...(await railsOf(folder, chip)));
  }
  const whole = rails.filter(({ label }) => WHOLE_BOARD.test(label));
  const used = whole.length > 0 ? whole.slice(0, 1) : rails;
  if (used.length === 0) return null;
  return {
    name: `INA ${used.map(({ label }) => label).join(' + ')}`,
    kind: 'sensor',
    read: () => sum(used.map(({ watts }) => watts())),
    wrap: Number.POSITIVE_INFINITY,
  };
}

/** An INA3221 measures voltage and current of three rails, the others the power of one (Documentation/hwmon/ina*.rst). */
async function railsOf(folder: string, chip: string): Promise<Rail[]> {
  const powers = await names(folder, /^power\d+_input$/);
  if (powers.length > 0) {
    return powers.map((file) => ({
      label: chip,
      watts: async () => scaled(await number(join(folder, file)), 1e-6),
    }));
  }
  const currents = (await names(folder, /^curr[1-3]_input$/)).map((file) => file.slice(4, 5));
  return Promise.all(
    currents.map(async (rail) => ({
      label: (await content(join(folder, `in${rail}_label`))) ?? `${chip} rail ${rail}`,
      watts: async () => {
        const milliamperes = await number(join(folder, `curr${rail}_input`));
        const millivolts = await number(join(folder, `in${rail}_input`));
        return milliamperes === null || millivolts === null ? null : (milliamperes * millivolts) / 1e6;
      },
    })),
  );
}

/** The hwmon folders of I²C devices and of the kernel class, without duplicates. */
async function hwmonFolders(root: string): Promise<string[]> {
  const folders: string[] = [];
  const devices = join(root, 'sys/bus/i2c/devices');
  for (const device of await names(devices, /./)) {
    const parent = join(devices, device, 'hwmon');
    folders.push(...(await names(parent, /^hwmon\d+$/)).map((name) => join(parent, name)));
  }
  const all = join(root, 'sys/class/hwmon');
  folders.push(...(await names(all, /^hwmon\d+$/)).map((name) => join(all, name)));
  return [...new Set(await Promise.all(folders.map((folder) => realpath(folder))))];
}

/** Adds up the joules that are used. Sensors are read every 100 ms. */
export class EnergyMeter {
  readonly source: PowerSource;
  #joules = 0;
  #last: { at: number; value: number } | null = null;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(source: PowerSource) {
    this.source = source;
  }

  async start(): Promise<void> {
    await this.#measure();
    this.#timer = setInterval(() => void this.#measure(), this.source.kind === 'sensor' ? 100 : 1000).unref();
  }

  /** @returns joules since `start`, or since the previous lap */
  async lap(): Promise<number> {
    await this.#measure();
    const joules = this.#joules;
    this.#joules = 0;
    return joules;
  }

  /** @returns like `lap` */
  stop(): Promise<number> {
    clearInterval(this.#timer);
    return this.lap();
  }

  #measure(): Promise<void> {
    this.#reading = this.#reading.then(async () => {
      const value = await this.source.read();
      if (value === null) return;
      const at = performance.now();
      if (this.#last) this.#joules += used(this.source, this.#last, { at, value });
      this.#last = { at, value };
    });
    return this.#reading;
  }
}

interface Reading {
  at: number;
  value: number;
}

/** Joules between two readings. A counter may have wrapped in between; a sensor is assumed to change linearly. */
export function used({ kind, wrap }: PowerSource, from: Reading, to: Reading): number {
  if (kind === 'sensor') return (((from.value + to.value) / 2) * (to.at - from.at)) / 1000;
  const counted = to.value - from.value;
  if (counted >= 0) return counted;
  return Number.isFinite(wrap) ? counted + wrap : 0;
}

async function sum(parts: Promise<number | null>[]): Promise<number | null> {
  let total = 0;
  for (const part of await Promise.all(parts)) {
    if (part === null) return null;
    total += part;
  }
  return total;
}

const scaled = (value: number | null, factor: number) => (value === null ? null : value * factor);

async function number(file: string): Promise<number | null> {
  const text = await content(file);
  return text === null || Number.isNaN(Number(text)) ? null : Number(text);
}

async function names(folder: string, pattern: RegExp): Promise<string[]> {
  const found = await readdir(folder).catch(() => []);
  return found.filter((name) => pattern.test(name)).sort();
}

async function content(file: string): Promise<string | null> {
  try {
    return (await readFile(file, 'utf8')).trim() || null;
  } catch {
    return null;
  }
}
