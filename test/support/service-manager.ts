import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { tempFolder } from './daemon.ts';

/**
 * Stands in for systemd: a `systemd-notify` that writes down what it is told and when. (What the real one does is
 * tested in test/integration/systemd.test.ts.)
 */
export class ServiceManager {
  readonly #folder = tempFolder();

  constructor() {
    const program = join(this.#folder, 'systemd-notify');
    writeFileSync(program, `#!/bin/sh\necho "$(date +%s%3N) $*" >> '${this.#said}'\n`);
    chmodSync(program, 0o755);
  }

  get #said(): string {
    return join(this.#folder, 'said');
  }

  /** What a service sees of it that must show a sign of life every `watchdogMs`. */
  env(watchdogMs: number): NodeJS.ProcessEnv {
    return {
      PATH: `${this.#folder}${delimiter}${process.env.PATH}`,
      NOTIFY_SOCKET: join(this.#folder, 'socket'),
      WATCHDOG_USEC: String(watchdogMs * 1000),
    };
  }

  /** When, in wall-clock milliseconds, it was told this, such as `WATCHDOG=1`. */
  told(assignment: string): number[] {
    if (!existsSync(this.#said)) return [];
    return readFileSync(this.#said, 'utf8')
      .split('\n')
      .filter((line) => line.includes(assignment))
      .map((line) => Number.parseInt(line, 10));
  }
}
