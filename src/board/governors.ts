/** Lowers the share of frames that are analysed while the board is too hot or short of memory; the lower share counts. */
import type { Logger } from 'pino';
import type { Clock } from '../runtime/clock.ts';
import type { Service } from '../types.ts';
import { AnalysisRate } from './analysis-rate.ts';
import { PressureGovernor } from './memory-pressure.ts';
import { ThermalGovernor, type ThermalState } from './thermal.ts';

export interface GovernorsOptions {
  /** Whether the thermal governor is on, and its limit in °C, by default that of the board. */
  thermal: { governor: boolean; limit?: number | undefined };
  clock: Clock;
  log: Logger;
  /** Folder that stands for `/` where files of the board are read. */
  root: string;
  /** Frames since the start. */
  frames: () => { captured: number; dropped: number };
  /** Takes the share of the frames to analyse, 0…1. */
  onRate: (share: number) => void;
  onThermal: (state: ThermalState) => void;
}

export class Governors implements Service {
  readonly #pressure: PressureGovernor;
  readonly #thermal: ThermalGovernor | null;
  #thermalState: ThermalState | null = null;

  constructor({ thermal, clock, log, root, frames, onRate, onThermal }: GovernorsOptions) {
    const rate = new AnalysisRate(onRate);
    this.#pressure = new PressureGovernor({
      clock,
      log,
      root,
      frames,
      onAnalysisRate: (share) => rate.limit('memory', share),
    });
    this.#thermal = thermal.governor
      ? new ThermalGovernor({
          limit: thermal.limit ?? null,
          clock,
          log,
          root,
          onChange: (state) => {
            this.#thermalState = state;
            rate.limit('thermal', state.analysisRate);
            onThermal(state);
          },
        })
      : null;
  }

  /** Null while nothing has been published: the governor is off, or the board has no thermometer. */
  get thermal(): ThermalState | null {
    return this.#thermalState;
  }

  /** Why frames are dropped, if memory or processor are short. */
  get pressure(): string | null {
    return this.#pressure.problem;
  }

  async start(): Promise<void> {
    await this.#thermal?.start();
    await this.#pressure.start();
  }

  async stop(): Promise<void> {
    await this.#pressure.stop();
    await this.#thermal?.stop();
  }
}
