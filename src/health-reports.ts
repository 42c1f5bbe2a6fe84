/** Measures at regular times how the device is doing, and records and publishes it together with its problems. */
import type { Logger } from 'pino';
import type { HealthMonitor } from './board/health.ts';
import type { ThermalState } from './board/thermal.ts';
import type { Publisher } from './publish/publisher.ts';
import type { Clock } from './runtime/clock.ts';
import type { Store } from './store/store.ts';
import type { StoreStats } from './store/store-types.ts';
import type { Service } from './types.ts';

/** Where problems come from, besides the store. Null: none. */
export interface ProblemSources {
  /** Why the latest configuration was refused. */
  configError: string | null;
  /** What the memory pressure governor reports. */
  pressure: string | null;
  thermal: Pick<ThermalState, 'limiting' | 'analysisRate'> | null;
  /** Why the time of day is in doubt. */
  timeDoubt: string | null;
}

export interface HealthReportsOptions {
  /** Milliseconds between two reports. */
  interval: number;
  monitor: Pick<HealthMonitor, 'sample'>;
  store: Pick<Store, 'stats' | 'recordSample'>;
  publisher: Pick<Publisher, 'publishHealth'>;
  problems: () => ProblemSources;
  clock: Clock;
  log: Logger;
}

export class HealthReports implements Service {
  readonly #options: HealthReportsOptions;
  #cancel = () => {};

  constructor(options: HealthReportsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { clock, interval } = this.#options;
    this.#cancel = clock.every(interval, () => void this.#report());
  }

  async stop(): Promise<void> {
    this.#cancel();
  }

  async #report(): Promise<void> {
    const { monitor, store, publisher, problems, log } = this.#options;
    try {
      const stats = await store.stats();
      const health = await monitor.sample(stats, listProblems(stats, problems()));
      store.recordSample(health);
      publisher.publishHealth(health);
    } catch (err) {
      log.error({ err }, 'cannot measure the health of the device');
    }
  }
}

/** Current problems as text, each after its code. */
export function listProblems(
  { error, damage, throttled }: Pick<StoreStats, 'error' | 'damage' | 'throttled'>,
  { configError, pressure, thermal, timeDoubt }: ProblemSources,
): string[] {
  const problems: string[] = [];
  const add = (code: string, text: string | null) => {
    if (text !== null) problems.push(`${code}: ${text}`);
  };
  // The store names the code of its error itself.
  if (error !== null) problems.push(error);
  add('STORE_BUDGET', throttled);
  add('STORE_CORRUPT', damage);
  add('CONFIG_INVALID', configError);
  add('BOARD_OVERRUN', pressure);
  if (thermal?.limiting) {
    const percent = Math.round(100 * thermal.analysisRate);
    add('BOARD_OVERRUN', `the board is hot: ${percent} % of the frames are analysed`);
  }
  add('TIME_UNKNOWN', timeDoubt);
  return problems;
}
