/**
 * Reduces the analysis rate while the board is short of memory, so that events are still stored and published: to a half
 * at first, then a quarter, then an eighth, and back step by step. When the processor is overloaded, frames are dropped
 * anyway, the oldest first; then this only logs it. Temperature has its own governor (thermal.ts).
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../runtime/clock.ts';
import type { Service } from '../types.ts';

const CHECK_MS = 5000;
/** After this many checks without pressure the rate goes up by one step. */
const CALM_CHECKS = 4;
const MAX_STEPS = 3;

/** Minimum share of available memory. */
const MIN_AVAILABLE = 0.06;
/** Percentage of the last ten seconds in which some process waited (PSI, Documentation/accounting/psi.rst). */
const MEMORY_STALLED = 10;
const CPU_STALLED = 80;
/** Runnable processes per core, where the kernel has no PSI. */
const MAX_LOAD = 4;
/** Share of dropped frames since the last check from which it is reported. */
const MANY_DROPPED = 0.5;

export interface PressureOptions {
  clock: Clock;
  log: Logger;
  /** Frames from the cameras, and frames that were dropped, since the start. */
  frames: () => { captured: number; dropped: number };
  /** Called with the share of the frames to analyse, 0…1, when it changes. */
  onAnalysisRate: (rate: number) => void;
  /** Folder that replaces `/`. */
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

  /** Why fewer frames are analysed; null: all frames are analysed. */
  get problem(): string | null {
    if (this.#step === 0) return this.#overrun;
    return `short of memory: analysing 1 of ${2 ** this.#step} frames`;
  }

  async start(): Promise<void> {
    this.#cancel = this.#options.clock.every(CHECK_MS, () => void this.check());
  }

  async stop(): Promise<void> {
    this.#cancel();
  }

  /** Checks the board and lowers the rate by one step or, after a while, raises it. */
  async check(): Promise<void> {
    const { log, root = '/', onAnalysisRate } = this.#options;
    const [short, busy] = await Promise.all([isShortOfMemory(root), isBusy(root)]);
    const before = { step: this.#step, overrun: this.#overrun };
    this.#overrun = this.#judgeDrops(busy);
    this.#calm = short ? 0 : this.#calm + 1;
    if (short) this.#step = Math.min(MAX_STEPS, this.#step + 1);
    else if (this.#calm >= CALM_CHECKS && this.#step > 0) {
      this.#calm = 0;
      this.#step--;
    }
    const { problem } = this;
    const overrun = this.#step === 0 && before.overrun === null && this.#overrun !== null;
    if (this.#step > before.step || overrun) log.warn({ code: 'BOARD_OVERRUN' }, problem!);
    else if (this.#step < before.step) log.info(problem ?? 'memory is available again: analysing all frames');
    if (this.#step !== before.step) onAnalysisRate(1 / 2 ** this.#step);
  }

  /** Why most frames are dropped, or null; without figures, because the message is logged once. */
  #judgeDrops(busy: boolean): string | null {
    const { captured, dropped } = this.#options.frames();
    const share = (dropped - this.#frames.dropped) / Math.max(1, captured - this.#frames.captured);
    this.#frames = { captured, dropped };
    if (share < MANY_DROPPED) return null;
    const why = busy ? 'other programs use the processor' : 'the model is slower than the cameras';
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
  return available < MIN_AVAILABLE || stalled(pressure) >= MEMORY_STALLED;
}

/** Whether the processor is overloaded. */
async function isBusy(root: string): Promise<boolean> {
  const [pressure, load] = await Promise.all([text(root, 'proc/pressure/cpu'), text(root, 'proc/loadavg')]);
  if (pressure !== '') return stalled(pressure) >= CPU_STALLED;
  return Number.parseFloat(load) / availableParallelism() >= MAX_LOAD;
}

/** Percentage of the last ten seconds in which some process waited. */
function stalled(pressure: string): number {
  return Number(/^some avg10=([\d.]+)/m.exec(pressure)?.[1] ?? 0);
}

/** Content of a kernel file; empty if it does not exist. */
function text(root: string, path: string): Promise<string> {
  return readFile(join(root, path), 'utf8').catch(() => '');
}
