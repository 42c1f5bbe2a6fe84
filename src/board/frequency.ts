/** How fast the processor is clocked, from the files of the kernel. All of it is optional. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Frequency {
  /** Clock of the fastest core just now, MHz. */
  mhz: number | null;
  /** The most that the slowest of the core groups may be clocked at just now, MHz: lower when the kernel throttles. */
  limit_mhz: number | null;
  /** Such as `ondemand` or `performance`; several are joined by a comma. */
  governor: string | null;
}

/**
 * Reads clocks and governors of all core groups. Never rejects.
 *
 * `cpuinfo_cur_freq` is what the hardware says, but only root may read it; `scaling_cur_freq` is what was asked for last
 * (Documentation/admin-guide/pm/cpufreq.rst). Machines without either may show a clock in /proc/cpuinfo.
 * @param root folder that stands for `/`
 */
export async function readFrequency(root = '/'): Promise<Frequency> {
  const folder = join(root, 'sys/devices/system/cpu/cpufreq');
  const names = await readdir(folder).catch(() => []);
  const policies = await Promise.all(
    names
      .filter((name) => /^policy\d+$/.test(name))
      .map(async (name) => {
        const read = (file: string) => content(join(folder, name, file));
        return {
          now: kilohertz(await read('cpuinfo_cur_freq')) ?? kilohertz(await read('scaling_cur_freq')),
          limit: kilohertz(await read('scaling_max_freq')),
          governor: await read('scaling_governor'),
        };
      }),
  );
  const clocks = policies.flatMap(({ now }) => now ?? []);
  const limits = policies.flatMap(({ limit }) => limit ?? []);
  const governors = new Set(policies.flatMap(({ governor }) => governor ?? []));
  return {
    mhz: clocks.length > 0 ? Math.round(Math.max(...clocks)) : await shownClock(root),
    limit_mhz: limits.length > 0 ? Math.round(Math.min(...limits)) : null,
    governor: governors.size > 0 ? [...governors].join(', ') : null,
  };
}

async function shownClock(root: string): Promise<number | null> {
  const text = (await content(join(root, 'proc/cpuinfo'))) ?? '';
  const clocks = [...text.matchAll(/^cpu MHz\s*:\s*([\d.]+)/gm)].map(([, mhz]) => Number(mhz));
  return clocks.length > 0 ? Math.round(Math.max(...clocks)) : null;
}

function kilohertz(text: string | null): number | null {
  return text !== null && /^\d+$/.test(text) ? Number(text) / 1000 : null;
}

async function content(file: string): Promise<string | null> {
  try {
    return (await readFile(file, 'utf8')).trim() || null;
  } catch {
    return null;
  }
}
