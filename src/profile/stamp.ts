/** The current state of the board: temperature, clock, throttling, and processor share of other programs. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readThermals } from '../board/board.ts';
import { readFrequency } from '../board/frequency.ts';
import { readUsage } from '../board/usage.ts';
import type { Stamp } from './profile-types.ts';

/** Processor time of the machine since its start, and of this process with its children, in hundredths of a second. */
interface Ticks {
  all: number;
  idle: number;
  own: number;
}

export class Stamper {
  readonly #root: string;
  #before: Ticks | null = null;

  /** @param root folder that stands for `/` */
  constructor(root = '/') {
    this.#root = root;
  }

  /** Reads the state of the board. The share of other programs is since the last call, null for the first one. */
  async stamp(): Promise<Stamp> {
    const [thermals, frequency, ticks] = await Promise.all([
      readThermals({ root: this.#root }),
      readFrequency(this.#root),
      this.#ticks(),
    ]);
    const others = this.#before && ticks ? share(this.#before, ticks) : null;
    this.#before = ticks;
    return { at: Date.now(), ...thermals, ...frequency, others_percent: others };
  }

  async #ticks(): Promise<Ticks | null> {
    try {
      const [line] = (await readFile(join(this.#root, 'proc/stat'), 'utf8')).split('\n', 1);
      // proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
      const [user, nice, system, idle, iowait, irq, softirq, steal] = line!
        .trim()
        .split(/\s+/)
        .slice(1)
        .map(Number);
      const waiting = idle! + iowait!;
      const { cpuMs, childrenCpuMs } = await readUsage();
      return {
        all: user! + nice! + system! + irq! + softirq! + steal! + waiting,
        idle: waiting,
        own: (cpuMs + (childrenCpuMs ?? 0)) / 10,
      };
    } catch {
      return null;
    }
  }
}

/** Time that was neither idle nor Lookout's, in percent of all cores. */
function share(from: Ticks, to: Ticks): number | null {
  const all = to.all - from.all;
  if (all <= 0) return null;
  const others = all - (to.idle - from.idle) - (to.own - from.own);
  return Math.round(Math.max(0, (100 * others) / all));
}
