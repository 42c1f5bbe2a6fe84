import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileLibrary } from './compile.ts';
import { tempFolder } from './daemon.ts';

/** A folder whose disk can be broken, and of which is known what a power cut would leave. */
export class FrailDisk {
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

  /** What makes a process see the disk so. */
  get env(): NodeJS.ProcessEnv {
    return {
      LD_PRELOAD: compileLibrary('frail-disk.c'),
      FRAIL_DISK: this.#folder,
      FRAIL_DISK_FAULT: this.#fault,
      FRAIL_DISK_LOG: this.log,
    };
  }

  /** Has every write fail with an error number of the system, or with null work again. */
  fail(errno: number | null): void {
    if (errno === null) rmSync(this.#fault, { force: true });
    else writeFileSync(this.#fault, String(errno));
  }
}
