/** Board model, temperature and throttling, from the files of the kernel. All of them are optional. */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface Thermals {
  /** Processor temperature in °C; null: unknown. */
  temperature_c: number | null;
  /** Whether the board throttles at the moment; null: unknown. */
  throttled: boolean | null;
  /** Reasons, such as `under-voltage`; with the suffix `-since-boot` for earlier throttling. */
  throttle_reasons: string[];
}

export interface Board extends Thermals {
  /** For example `Raspberry Pi 5 Model B Rev 1.0`. */
  model: string | null;
  /** Processor, for example `Cortex-A76`. */
  cpu: string | null;
  cores: number | null;
  memory_mb: number | null;
  /** Release of the running kernel. */
  kernel: string | null;
  /** For example `Debian GNU/Linux 12 (bookworm)`. */
  os: string | null;
}

export interface BoardOptions {
  /** Folder that replaces `/`. */
  root?: string;
  /** Program that queries the firmware of a Raspberry Pi, for kernels that do not. */
  vcgencmd?: string;
}

/** Reads all facts about the board. Never rejects: unavailable facts are null. */
export async function readBoard({ root = '/', vcgencmd }: BoardOptions = {}): Promise<Board> {
  const [model, cpu, memory, kernel, os, thermals] = await Promise.all([
    readModel(root),
    text(root, 'proc/cpuinfo'),
    text(root, 'proc/meminfo'),
    text(root, 'proc/sys/kernel/osrelease'),
    text(root, 'etc/os-release'),
    readThermals({ root, ...(vcgencmd === undefined ? {} : { vcgencmd }) }),
  ]);
  const kilobytes = /^MemTotal:\s+(\d+) kB/m.exec(memory ?? '')?.[1];
  return {
    model,
    cpu: processor(cpu ?? ''),
    cores: cpu?.match(/^processor\s*:/gm)?.length ?? null,
    memory_mb: kilobytes === undefined ? null : Math.round(Number(kilobytes) / 1024),
    kernel,
    os: /^PRETTY_NAME="?([^"\n]+)/m.exec(os ?? '')?.[1] ?? null,
    ...thermals,
  };
}

/** Reads temperature and throttling. Never rejects. */
export async function readThermals({
  root = '/',
  vcgencmd = 'vcgencmd',
}: BoardOptions = {}): Promise<Thermals> {
  const [temperature, reasons] = await Promise.all([
    readTemperature(root),
    readPi(root, vcgencmd).then((found) => found ?? readJetson(root)),
  ]);
  return {
    temperature_c: temperature,
    throttled: reasons?.some((reason) => !reason.endsWith(EARLIER)) ?? null,
    throttle_reasons: reasons ?? [],
  };
}

const EARLIER = '-since-boot';

async function readModel(root: string): Promise<string | null> {
  const tree = await text(root, 'proc/device-tree/model');
  if (tree !== null) return tree;
  const [vendor, product] = await Promise.all([
    text(root, 'sys/class/dmi/id/sys_vendor'),
    text(root, 'sys/class/dmi/id/product_name'),
  ]);
  return [vendor, product].filter((part) => part !== null).join(' ') || null;
}

/** ARM part numbers of the cores in supported boards (MIDR_EL1, as in /proc/cpuinfo). */
const ARM_CORES: Record<string, string> = {
  '0xd03': 'Cortex-A53',
  '0xd07': 'Cortex-A57',
  '0xd08': 'Cortex-A72',
  '0xd0b': 'Cortex-A76',
  '0xd42': 'Cortex-A78AE',
};

function processor(cpuinfo: string): string | null {
  const name = /^model name\s*:\s*(.+)$/m.exec(cpuinfo)?.[1];
  if (name !== undefined) return name.trim();
  const part = /^CPU part\s*:\s*(0x[0-9a-f]+)/m.exec(cpuinfo)?.[1];
  return part === undefined ? null : (ARM_CORES[part] ?? `ARM part ${part}`);
}

/** Temperature of the processor's thermal zone, or of the hottest readable one (some zones of a Jetson sleep). */
async function readTemperature(root: string): Promise<number | null> {
  const zones = await Promise.all(
    (await list(root, 'sys/class/thermal', /^thermal_zone\d+$/)).map(async (zone) => ({
      type: await text(root, join(zone, 'type')),
      celsius: await number(root, join(zone, 'temp')).then((milli) => (milli === null ? null : milli / 1000)),
    })),
  );
  const readable = zones.filter(({ celsius }) => celsius !== null && celsius > -40 && celsius < 150);
  const cpu = readable.filter(({ type }) => /cpu|x86_pkg/i.test(type ?? ''));
  const found = (cpu.length > 0 ? cpu : readable).map(({ celsius }) => celsius ?? Number.NaN);
  return found.length === 0 ? null : Math.round(Math.max(...found) * 10) / 10;
}

/** Bits of the firmware's `get_throttled`; the bits since boot are 16 higher. */
const PI_FLAGS = ['under-voltage', 'frequency-capped', 'throttled', 'soft-temperature-limit'];

async function readPi(root: string, vcgencmd: string): Promise<string[] | null> {
  const bits = (await piFlags(root)) ?? (await askFirmware(root, vcgencmd));
  if (bits !== null) {
    return PI_FLAGS.flatMap((flag, bit) => [
      ...(bits & (1 << bit) ? [flag] : []),
      ...(bits & (1 << (bit + 16)) ? [`${flag}${EARLIER}`] : []),
    ]);
  }
  for (const folder of await list(root, 'sys/class/hwmon', /^hwmon\d+$/)) {
    if ((await text(root, join(folder, 'name'))) !== 'rpi_volt') continue;
    const alarm = await number(root, join(folder, 'in0_lcrit_alarm'));
    if (alarm !== null) return alarm > 0 ? ['under-voltage'] : [];
  }
  return null;
}

/** `soc/soc:firmware` up to the Pi 4, `soc@107c000000/soc@107c000000:firmware` on the Pi 5. */
async function piFlags(root: string): Promise<number | null> {
  for (const soc of await list(root, 'sys/devices/platform', /^soc(@|$)/)) {
    for (const firmware of await list(root, soc, /:firmware$/)) {
      const flags = await text(root, join(firmware, 'get_throttled'));
      if (flags !== null && /^(0x)?[0-9a-f]+$/i.test(flags)) return Number.parseInt(flags, 16);
    }
  }
  return null;
}

async function askFirmware(root: string, vcgencmd: string): Promise<number | null> {
  if (!(await readModel(root))?.startsWith('Raspberry Pi')) return null;
  try {
    const { stdout } = await promisify(execFile)(vcgencmd, ['get_throttled'], { timeout: 2000 });
    const flags = /^throttled=0x([0-9a-f]+)/.exec(stdout)?.[1];
    return flags === undefined ? null : Number.parseInt(flags, 16);
  } catch {
    return null;
  }
}

/**
 * Thermal throttling through the `…-alert` cooling devices, over-current through the counters of `soctherm_oc`
 * (Jetson Linux Developer Guide, "Platform Power and Performance").
 */
async function readJetson(root: string): Promise<string[] | null> {
  const reasons: string[] = [];
  let found = false;
  for (const device of await list(root, 'sys/class/thermal', /^cooling_device\d+$/)) {
    const type = await text(root, join(device, 'type'));
    if (type === null || !/-alert$/.test(type)) continue;
    found = true;
    if (((await number(root, join(device, 'cur_state'))) ?? 0) > 0) reasons.push(type.replace(/-alert$/, ''));
  }
  for (const folder of await list(root, 'sys/class/hwmon', /^hwmon\d+$/)) {
    if ((await text(root, join(folder, 'name'))) !== 'soctherm_oc') continue;
    found = true;
    const counts = await Promise.all([1, 2, 3].map((n) => number(root, join(folder, `oc${n}_event_cnt`))));
    if (counts.some((count) => (count ?? 0) > 0)) reasons.push(`over-current${EARLIER}`);
  }
  return found ? reasons : null;
}

/** Content of a small file without its padding; null if it is unreadable or empty. */
async function text(root: string, path: string): Promise<string | null> {
  try {
    const content = await readFile(join(root, path), 'utf8');
    return content.replace(/[\0\s]+$/, '') || null;
  } catch {
    return null;
  }
}

async function number(root: string, path: string): Promise<number | null> {
  const value = await text(root, path);
  return value === null || Number.isNaN(Number(value)) ? null : Number(value);
}

/** Paths, relative to `root`, of the entries of a folder with a matching name, in order. */
async function list(root: string, folder: string, pattern: RegExp): Promise<string[]> {
  try {
    const names = await readdir(join(root, folder));
    return names
      .filter((name) => pattern.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}
