/**
 * Raspberry Pi cameras for long intervals: the camera is started for each still and off in between.
 *
 * The package node-libcamera takes the still. It builds a command line for a shell, so it only gets numbers and fixed
 * words. It calls `libcamera-still`, a name that newer systems do not have, and it can neither be stopped nor
 * configured with another program. Therefore a private folder is first on the PATH during the call, with a
 * `libcamera-still` script that stores its process id and executes the program that the system has.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import libcamera from 'node-libcamera';
import { LookoutError, messageOf } from '../errors.ts';
import { decodeImageFile } from '../pixels/decode-image.ts';
import { makeFolder, removeFolder } from '../runtime/own-files.ts';
import { Pacer } from './abortable.ts';
import { DEVICE_FAULTS, type LibcameraConfig } from './libcamera.ts';
import { requireProgram } from './programs.ts';
import type { FrameSink, Source, SourceContext } from './source.ts';

export const STILL_PROGRAMS = ['rpicam-still', 'libcamera-still'] as const;

/** Time for the camera to set exposure and white balance. */
const WARM_UP_MS = 1500;
const SHOT_TIMEOUT_MS = 30_000;
const GRACE_MS = 2000;

export class StillSource implements Source {
  readonly description: string;
  readonly #config: LibcameraConfig;
  readonly #context: SourceContext;

  constructor(config: LibcameraConfig, context: SourceContext) {
    const { camera, width, height, interval } = config;
    this.description = `libcamera camera ${camera}, a still of ${width}×${height} every ${interval} s`;
    this.#config = config;
    this.#context = context;
  }

  async run(sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { interval } = this.#config;
    const program = await requireProgram(STILL_PROGRAMS, this.#context.env);
    const folder = await makeFolder(join(tmpdir(), 'lookout-still-'));
    try {
      await writeFile(join(folder, 'libcamera-still'), wrapperScript(program, folder), { mode: 0o700 });
      const pacer = new Pacer(this.#context.clock, 1 / interval);
      for (;;) {
        await pacer.next(signal);
        if (signal.aborted) return;
        const shot = await makeFolder(join(folder, 'shot-'));
        try {
          await this.#take(folder, shot, sink, signal);
        } finally {
          await removeFolder(shot);
        }
      }
    } finally {
      await removeFolder(folder);
    }
  }

  async #take(folder: string, shot: string, sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { width, height } = this.#config;
    const file = await this.#shoot(folder, shot, signal);
    if (signal.aborted) return;
    try {
      sink.frame(await decodeImageFile(file, { width, height }, sink));
    } catch (error) {
      sink.fault(`libcamera: cannot decode the still: ${messageOf(error)}`);
    }
  }

  /** Takes a still into the folder `shot` and returns its file. When it settles, the program has ended. */
  async #shoot(folder: string, shot: string, signal: AbortSignal): Promise<string> {
    const { clock } = this.#context;
    const file = join(shot, 'still.jpg');
    let cancelKill = () => {};
    const end = () => {
      signalShot(folder, 'SIGTERM');
      cancelKill = clock.after(GRACE_MS, () => signalShot(folder, 'SIGKILL'));
    };
    let late = false;
    const cancelTimeout = clock.after(SHOT_TIMEOUT_MS, () => {
      late = true;
      end();
    });
    signal.addEventListener('abort', end);
    try {
      await withPath(folder, () => libcamera.still(stillOptions(this.#config, file)));
    } catch (error) {
      if (!signal.aborted) throw shotError(error, late);
    } finally {
      signal.removeEventListener('abort', end);
      cancelTimeout();
      cancelKill();
      signalShot(folder, 'SIGKILL');
    }
    return file;
  }
}

/** Options of libcamera-still: numbers, fixed words, and a file name without characters special to a shell. */
export function stillOptions({ camera, width, height }: LibcameraConfig, file: string) {
  for (const number of [camera, width, height]) {
    if (!Number.isInteger(number)) throw new TypeError(`expected an integer, found ${String(number)}`);
  }
  if (!/^[\w./-]+$/.test(file)) {
    throw new LookoutError(
      'CAPTURE_FILE',
      `the temporary folder has special characters in its path: ${file}`,
      {
        hint: 'Set TMPDIR to a path without spaces and special characters.',
      },
    );
  }
  return {
    camera,
    width,
    height,
    timeout: WARM_UP_MS,
    encoding: 'jpg' as const,
    quality: 93,
    nopreview: true,
    output: file,
  };
}

function wrapperScript(program: string, folder: string): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  return `#!/bin/sh\necho $$ > ${quote(join(folder, 'pid'))}\nexec ${quote(program)} "$@"\n`;
}

/** Calls with `folder` first on the PATH. node-libcamera starts its program before the call returns. */
function withPath<T>(folder: string, call: () => T): T {
  const { PATH } = process.env;
  process.env.PATH = PATH === undefined ? folder : `${folder}:${PATH}`;
  try {
    return call();
  } finally {
    if (PATH === undefined) delete process.env.PATH;
    else process.env.PATH = PATH;
  }
}

/** Signals the program of the running shot, if any. Its command line must contain the folder: ids are reused. */
function signalShot(folder: string, name: NodeJS.Signals): void {
  try {
    const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
    if (pid > 1 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder)) process.kill(pid, name);
  } catch {}
}

function shotError(error: unknown, late: boolean): LookoutError {
  const lines = messageOf(error).trim().split('\n');
  const fault = lines.findLast((line) => DEVICE_FAULTS.faults.test(line));
  if (fault) return new LookoutError('CAPTURE_DEVICE', `libcamera: ${fault}`, { hint: DEVICE_FAULTS.hint });
  const what = late
    ? `took longer than ${SHOT_TIMEOUT_MS / 1000} s for a still and was stopped`
    : `ended without a still: ${lines.at(-1)}`;
  return new LookoutError('CAPTURE_ENDED', `${STILL_PROGRAMS.join(' or ')} ${what}`);
}
