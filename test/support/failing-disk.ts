import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileLibrary } from './compile.ts';
import { tempFolder } from './daemon.ts';

/** A folder whose disk can fail, and that records what a power cut would leave. */
export class FailingDisk {
  /** Every change and sync below the folder; read by power-cut.ts. */
  readonly log: string;
  readonly #folder: string;
  readonly #fault: string;

  /** @param folder absolute path, below which the files are */
  constructor(folder: string) {
    const own = tempFolder();
    this.log = join(own, 'log');
    this.#folder = folder;
    this.#fault = join(own, 'fault');
  }

  /** The environment in which a process gets this disk. */
  get env(): NodeJS.ProcessEnv {
    return {
      LD_PRELOAD: compileLibrary('failing-disk.c'),
      FAILING_DISK: this.#folder,
      FAILING_DISK_FAULT: this.#fault,
      FAILING_DISK_LOG: this.log,
    };
  }

  /** Makes every write fail with an error number of the system; null: writes work again. */
  fail(errno: number | null): void {
    if (errno === null) rmSync(this.#fault, { force: true });
    else writeFileSync(this.#fault, String(errno));
  }
}
