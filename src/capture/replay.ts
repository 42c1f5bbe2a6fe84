/** Plays recorded frames: the image files of a folder, one of them, or a video. */
import { open, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { SourceConfig } from '../config/sources.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { listFolder, nameOf, type Path, readFormat } from '../pixels/image-file.ts';
import { ImageError } from '../pixels/image-format.ts';
import { printable } from '../runtime/printable.ts';
import type { RawFrame } from '../types.ts';
import { Pacer } from './abortable.ts';
import { runFfmpeg } from './ffmpeg.ts';
import { requireProgram } from './programs.ts';
import { ImagePlayer } from './replay-images.ts';
import type { FrameSink, Source, SourceContext } from './source.ts';
import { Y4mFrames } from './y4m.ts';

export type ReplayConfig = Extract<SourceConfig, { kind: 'replay' }>;

/** Bytes per read of an uncompressed video. */
const READ_BYTES = 2 ** 20;

/** Delivers a frame when it is due. */
type Deliver = (frame: RawFrame) => Promise<void>;

/** Plays everything once. @returns the number of frames */
type Pass = (sink: FrameSink, signal: AbortSignal, deliver: Deliver) => Promise<number>;

/**
 * Replays a folder of image files, a single image file or a video.
 * @throws LookoutError CAPTURE_FILE when there is nothing to play, CAPTURE_PROGRAM_MISSING for a video without ffmpeg
 */
export async function replaySource(config: ReplayConfig, context: SourceContext): Promise<Source> {
  return new ReplaySource(config, context, await choosePass(config, context));
}

async function choosePass(config: ReplayConfig, context: SourceContext): Promise<Pass> {
  const { path } = config;
  const found = await stat(path).catch((error: unknown) => {
    throw unplayable(path, `cannot be read: ${messageOf(error)}`, error);
  });
  const player = new ImagePlayer(config);
  if (found.isDirectory()) {
    await requireImage(path, await filesOf(path));
    return async (...pass) => player.play(await filesOf(path), ...pass);
  }
  // Probing a named pipe would consume what is to be played.
  if (found.isFile() && (await isImage(path))) return (...pass) => player.play([path], ...pass);
  if (/\.y4m$/i.test(path)) {
    // One buffer for all passes: otherwise each pass leaves a megabyte until the next garbage collection.
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    return (...pass) => playY4m(config, buffer, ...pass);
  }
  await requireProgram(['ffmpeg'], context.env);
  return (...pass) => playVideo(config, context, ...pass);
}

function unplayable(path: string, why: string, cause?: unknown): LookoutError {
  return new LookoutError('CAPTURE_FILE', printable(`replay path ${path} ${why}`), { cause });
}

async function filesOf(folder: string): Promise<Path[]> {
  return listFolder(folder).catch((error: unknown) => {
    throw unplayable(folder, `cannot be read: ${messageOf(error)}`, error);
  });
}

/** @throws LookoutError CAPTURE_FILE when none of the files is an image that can be decoded */
async function requireImage(folder: string, files: readonly Path[]): Promise<void> {
  let last = '';
  for (const file of files) {
    try {
      await readFormat(file);
      return;
    } catch (error) {
      last = `; the last of its ${files.length} files is ${printable(nameOf(file))}: ${messageOf(error)}`;
    }
  }
  throw unplayable(folder, last === '' ? 'is an empty folder' : `is a folder without images${last}`);
}

/**
 * Whether a file is an image rather than a video.
 * @throws LookoutError CAPTURE_FILE for an image that cannot be decoded
 */
async function isImage(path: string): Promise<boolean> {
  try {
    await readFormat(path);
    return true;
  } catch (error) {
    if (error instanceof ImageError && error.foreign) return false;
    throw unplayable(path, `cannot be played: ${messageOf(error)}`, error);
  }
}

class ReplaySource implements Source {
  readonly description: string;
  readonly #config: ReplayConfig;
  readonly #context: SourceContext;
  readonly #pass: Pass;

  constructor(config: ReplayConfig, context: SourceContext, pass: Pass) {
    this.description = `replay of ${printable(config.path)}`;
    this.#config = config;
    this.#context = context;
    this.#pass = pass;
  }

  async run(sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { pace, fps, loop, path } = this.#config;
    const pacer = new Pacer(this.#context.clock, fps);
    const deliver: Deliver = async (frame) => {
      if (pace === 'real') await pacer.next(signal);
      sink.frame(frame);
      if (pace === 'consumed') await sink.consumed();
    };
    do {
      const count = await this.#pass(sink, signal, deliver);
      if (count === 0 && !signal.aborted) throw unplayable(path, 'contains no frame that can be decoded');
    } while (loop && !signal.aborted);
    if (!signal.aborted) await sink.consumed();
  }
}

async function playVideo(
  config: ReplayConfig,
  context: SourceContext,
  sink: FrameSink,
  signal: AbortSignal,
  deliver: Deliver,
): Promise<number> {
  const { path } = config;
  let count = 0;
  const input = { args: ['-i', `file:${resolve(path)}`] };
  const end = await runFfmpeg(input, { ...config, hwaccel: 'none' }, context, sink, signal, (frame) => {
    count++;
    return deliver(frame);
  });
  if (end.code !== 0 && !signal.aborted) {
    sink.fault(`${shownName(path)}: cannot decode to the end: ${end.lines.at(-1) ?? end.signal ?? end.code}`);
  }
  return count;
}

/** Plays an uncompressed video without ffmpeg: every frame, in its original size. */
async function playY4m(
  { path }: ReplayConfig,
  buffer: Buffer,
  sink: FrameSink,
  signal: AbortSignal,
  deliver: Deliver,
): Promise<number> {
  const frames = new Y4mFrames('bt601', sink);
  const file = await open(path).catch((error: unknown) => {
    throw unplayable(path, `cannot be read: ${messageOf(error)}`, error);
  });
  let count = 0;
  try {
    while (!signal.aborted) {
      const { bytesRead } = await file.read(buffer);
      if (bytesRead === 0) break;
      for (const frame of frames.push(buffer.subarray(0, bytesRead))) {
        count++;
        await deliver(frame);
      }
    }
  } catch (error) {
    if (!(error instanceof LookoutError)) throw error;
    if (count === 0) throw unplayable(path, `cannot be played: ${error.message}`, error);
    sink.fault(`${shownName(path)}: cannot decode to the end: ${error.message}`);
  } finally {
    await file.close();
    if (frames.finish() > 0 && !signal.aborted) {
      sink.fault(`${shownName(path)}: the last frame was truncated`);
    }
  }
  return count;
}

const shownName = (path: string) => printable(basename(path));
