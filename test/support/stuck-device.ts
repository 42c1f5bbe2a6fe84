import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder } from './daemon.ts';
import { requires } from './requires.ts';

const source = new URL('../fakes/stuck-device.c', import.meta.url).pathname;

/** The `skip` option of a test that needs such a device: false, or the reason. */
export function requiresStuckDevice(): string | false {
  return requires('cc') || (process.getuid?.() === 0 ? false : 'needs the right to mount a file system');
}

/** A file that nobody can open, nor be ended while he tries. */
export class StuckDevice {
  readonly path: string;
  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(folder: string, child: ChildProcess) {
    this.#folder = folder;
    this.path = join(folder, 'device');
    this.#child = child;
  }

  static async start(): Promise<StuckDevice> {
    const own = tempFolder();
    const program = join(own, 'stuck-device');
    const { status, stderr } = spawnSync('cc', ['-O2', '-o', program, source]);
    if (status !== 0) throw new Error(`cc: ${stderr}`);
    const folder = join(own, 'mnt');
    mkdirSync(folder);
    const child = spawn(program, [folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout!, 'data');
    return new StuckDevice(folder, child);
  }

  /** Lets go whoever hangs. */
  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
    spawnSync('umount', ['-l', this.#folder]);
  }
}
