/**
 * Lets fewer frames be analysed while the board is short of memory, so that what is seen is still written and told:
 * half of the frames at first, then a quarter, then an eighth; and back, step by step. When the processor is what is
 * short, frames are dropped anyway, the older first; then it only says so. Heat has a governor of its own (thermal.ts).
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../runtime/clock.ts';
import type { Service } from '../types.ts';

const LOOK_MS = 5000;
/** So many looks without trouble make the rate go up by one step. */
const CALM_LOOKS = 4;
const MOST_STEPS = 3;

/** Share of the memory that must be available. */
const LEAST_AVAILABLE = 0.06;
/** Per cent of the last ten seconds in which some process waited (PSI, Documentation/accounting/psi.rst). */
const MEMORY_STALLED = 10;
const CPU_STALLED = 80;
/** Processes that want to run for each core, where the kernel has no PSI. */
const OVERRUN = 4;
/** Share of the frames that must have been dropped since the last look to be worth a word. */
const MANY_DROPPED = 0.5;

export interface PressureOptions {
  clock: Clock;
  log: Logger;
  /** How many frames came from the cameras, and how many were not analysed, since the start. */
  frames: () => { captured: number; dropped: number };
  /** Called with the share of the frames that may be analysed, 0…1, when it changes. */
  onShare: (share: number) => void;
  /** Folder that stands for `/`. */
  root?: string;
}

export class PressureGovernor implements Service {
  readonly #options: PressureOptions;
  #step = 0;
  #calm = 0;
  #frames = { captured: 0, dropped: 0 };
  #overrun: string | null = null;
  #cancel = () => {};

  constructor(options: PressureOptions) {
    this.#options = options;
  }

  /** Why fewer frames are analysed, in a few words; null: all are. */
  get problem(): string | null {
    if (this.#step === 0) return this.#overrun;
    return `short of memory: 1 of ${2 ** this.#step} frames is analysed`;
  }

  async start(): Promise<void> {
    this.#cancel = this.#options.clock.every(LOOK_MS, () => void this.look());
  }

  async stop(): Promise<void> {
    this.#cancel();
  }

  /** Looks at the board and goes one step down or, after a while, up. */
  async look(): Promise<void> {
    const { log, root = '/', onShare } = this.#options;
    const [short, busy] = await Promise.all([isShortOfMemory(root), isBusy(root)]);
    const before = { step: this.#step, overrun: this.#overrun };
    this.#overrun = this.#judgeDrops(busy);
    this.#calm = short ? 0 : this.#calm + 1;
    if (short) this.#step = Math.min(MOST_STEPS, this.#step + 1);
    else if (this.#calm >= CALM_LOOKS && this.#step > 0) {
      this.#calm = 0;
      this.#step--;
    }
    const { problem } = this;
    const overrun = this.#step === 0 && before.overrun === null && this.#overrun !== null;
    if (this.#step > before.step || overrun) log.warn({ code: 'BOARD_OVERRUN' }, problem!);
    else if (this.#step < before.step) log.info(problem ?? 'there is memory again: every frame is analysed');
    if (this.#step !== before.step) onShare(1 / 2 ** this.#step);
  }

  /** Whether most frames are dropped, and why, in words without figures: they are said once. */
  #judgeDrops(busy: boolean): string | null {
    const { captured, dropped } = this.#options.frames();
    const share = (dropped - this.#frames.dropped) / Math.max(1, captured - this.#frames.captured);
    this.#frames = { captured, dropped };
    if (share < MANY_DROPPED) return null;
    const why = busy ? 'other programs want the processor' : 'the model is slower than the cameras';
    return `most frames are dropped: ${why}`;
  }
}

async function isShortOfMemory(root: string): Promise<boolean> {
  const [memory, pressure] = await Promise.all([
    text(root, 'proc/meminfo'),
    text(root, 'proc/pressure/memory'),
  ]);
  const kilobytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(memory)?.[1] ?? Number.NaN);
  const available = kilobytes('MemAvailable') / kilobytes('MemTotal');
  return available < LEAST_AVAILABLE || stalled(pressure) >= MEMORY_STALLED;
}

/** Whether other programs want more of the processor than there is. */
async function isBusy(root: string): Promise<boolean> {
  const [pressure, load] = await Promise.all([text(root, 'proc/pressure/cpu'), text(root, 'proc/loadavg')]);
  if (pressure !== '') return stalled(pressure) >= CPU_STALLED;
  return Number.parseFloat(load) / availableParallelism() >= OVERRUN;
}

/** Per cent of the last ten seconds in which some process waited. */
function stalled(pressure: string): number {
  return Number(/^some avg10=([\d.]+)/m.exec(pressure)?.[1] ?? 0);
}

/** Content of a file of the kernel; empty if there is none. */
function text(root: string, path: string): Promise<string> {
  return readFile(join(root, path), 'utf8').catch(() => '');
}
