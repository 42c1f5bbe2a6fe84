/** Clock rate of the processor, from the files of the kernel. All of them are optional. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Frequency {
  /** Current clock of the fastest core, MHz. */
  mhz: number | null;
  /** Current clock limit of the slowest core group, MHz: lower when the kernel throttles. */
  limit_mhz: number | null;
  /** For example `ondemand` or `performance`; several are joined by a comma. */
  governor: string | null;
}

/**
 * Reads clocks and governors of all core groups. Never rejects.
 *
 * `cpuinfo_cur_freq` is the value of the hardware, but only root may read it; `scaling_cur_freq` is the last requested
 * value (Documentation/admin-guide/pm/cpufreq.rst). Machines without either may show a clock in /proc/cpuinfo.
 * @param root folder that replaces `/`
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
