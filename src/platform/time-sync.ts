import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Service } from '../types.ts';
import type { Clock } from './clock.ts';

const LOOK_MS = 2000;

/** Wall-clock milliseconds before which the clock of a board cannot have been set. */
export const CLOCK_UNSET = Date.UTC(2026, 0, 1);

/** Where systemd-timesyncd lives, and what it leaves there when it has set the clock (systemd-timesyncd(8)). */
const TIMESYNC = 'run/systemd/timesync';
const SYNCHRONIZED = 'run/systemd/timesync/synchronized';

/**
 * Knows whether the wall clock can be believed. A Raspberry Pi has no battery for its clock: it starts in 1970, or
 * where it was last shut down, and jumps when it hears from a time server.
 */
export class TimeSync implements Service {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #root: string;
  #known = true;
  #cancel = () => {};

  /** @param root folder that stands for `/` */
  constructor(clock: Clock, log: Logger, root = '/') {
    this.#clock = clock;
    this.#log = log;
    this.#root = root;
  }

  /** Whether the clock is set. Without systemd-timesyncd any time after the making of this program is believed. */
  get known(): boolean {
    return this.#known && this.#clock.now() >= CLOCK_UNSET;
  }

  async start(): Promise<void> {
    await this.#look();
    if (!this.known)
      this.#log.warn('the clock is not set yet: events are marked `time_uncertain` until it is');
    let known = this.known;
    this.#cancel = this.#clock.every(LOOK_MS, () => {
      void this.#look().then(() => {
        if (this.known && !known) this.#log.info('the clock is set: times are right from now on');
        known = this.known;
      });
    });
  }

  async stop(): Promise<void> {
    this.#cancel();
  }

  async #look(): Promise<void> {
    this.#known = !(await this.#has(TIMESYNC)) || (await this.#has(SYNCHRONIZED));
  }

  #has(path: string): Promise<boolean> {
    return access(join(this.#root, path)).then(
      () => true,
      () => false,
    );
  }
}
