import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder } from './daemon.ts';

const source = new URL('../fakes/frail-disk.c', import.meta.url).pathname;
let library: string | null = null;

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
      LD_PRELOAD: compiled(),
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

function compiled(): string {
  if (library === null) {
    library = join(tempFolder(), 'frail-disk.so');
    const { status, stderr } = spawnSync('cc', [
      '-shared',
      '-fPIC',
      '-O2',
      '-o',
      library,
      source,
      '-ldl',
      '-lpthread',
    ]);
    if (status !== 0) throw new Error(`cc: ${stderr}`);
  }
  return library;
}
