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
import type { SourceContext } from './context.ts';
import { runFfmpeg } from './ffmpeg.ts';
import { requireProgram } from './programs.ts';
import { ImagePlayer } from './replay-images.ts';
import type { FrameSink, Source } from './source.ts';
import { Y4mFrames } from './y4m.ts';

export type ReplayConfig = Extract<SourceConfig, { kind: 'replay' }>;

/** What is read of an uncompressed video at once. */
const READ_BYTES = 2 ** 20;

/** Hands a picture over when its time has come. */
type Deliver = (picture: RawFrame) => Promise<void>;

/** Plays everything once; tells how many pictures there were. */
type Pass = (sink: FrameSink, signal: AbortSignal, deliver: Deliver) => Promise<number>;

/**
 * A folder, an image or a video, as `path` turns out to be.
 * @throws LookoutError CAPTURE_FILE when there is nothing to play, CAPTURE_PROGRAM_MISSING for a video without ffmpeg
 */
export async function replaySource(config: ReplayConfig, context: SourceContext): Promise<Source> {
  return new ReplaySource(config, context, await choosePass(config, context));
}

async function choosePass(config: ReplayConfig, context: SourceContext): Promise<Pass> {
  const { path } = config;
  const found = await stat(path).catch((error: unknown) => {
    throw nothing(path, `cannot be read: ${messageOf(error)}`, error);
  });
  const player = new ImagePlayer(config);
  if (found.isDirectory()) {
    await requireImage(path, await filesOf(path));
    return async (...pass) => player.play(await filesOf(path), ...pass);
  }
  // Looking into a named pipe would take away what is to be played.
  if (found.isFile() && (await isImage(path))) return (...pass) => player.play([path], ...pass);
  if (/\.y4m$/i.test(path)) {
    // One for all passes: each would leave a dead megabyte until main collects its garbage.
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    return (...pass) => playY4m(config, buffer, ...pass);
  }
  await requireProgram(['ffmpeg'], context.env);
  return (...pass) => playVideo(config, context, ...pass);
}

function nothing(path: string, why: string, cause?: unknown): LookoutError {
  return new LookoutError('CAPTURE_FILE', printable(`replay path ${path} ${why}`), { cause });
}

async function filesOf(folder: string): Promise<Path[]> {
  return listFolder(folder).catch((error: unknown) => {
    throw nothing(folder, `cannot be read: ${messageOf(error)}`, error);
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
      last = `: of its ${files.length} files the last is ${printable(nameOf(file))}: ${messageOf(error)}`;
    }
  }
  throw nothing(folder, last === '' ? 'is an empty folder' : `is a folder without images${last}`);
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
    throw nothing(path, `cannot be played: ${messageOf(error)}`, error);
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
    const deliver: Deliver = async (picture) => {
      if (pace === 'real') await pacer.next(signal);
      sink.frame(picture);
      if (pace === 'consumed') await sink.consumed();
    };
    do {
      const pictures = await this.#pass(sink, signal, deliver);
      if (pictures === 0 && !signal.aborted) throw nothing(path, 'has no frame that can be decoded');
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
  let pictures = 0;
  const input = { args: ['-i', `file:${resolve(path)}`] };
  const end = await runFfmpeg(input, { ...config, hwaccel: 'none' }, context, sink, signal, (picture) => {
    pictures++;
    return deliver(picture);
  });
  if (end.code !== 0 && !signal.aborted) {
    sink.fault(
      `${nameForPeople(path)} cannot be decoded to its end: ${end.lines.at(-1) ?? end.signal ?? end.code}`,
    );
  }
  return pictures;
}

/** Plays an uncompressed video without ffmpeg, every picture and in its own size. */
async function playY4m(
  { path }: ReplayConfig,
  buffer: Buffer,
  sink: FrameSink,
  signal: AbortSignal,
  deliver: Deliver,
): Promise<number> {
  const frames = new Y4mFrames('bt601', sink);
  const file = await open(path).catch((error: unknown) => {
    throw nothing(path, `cannot be read: ${messageOf(error)}`, error);
  });
  let pictures = 0;
  try {
    while (!signal.aborted) {
      const { bytesRead } = await file.read(buffer);
      if (bytesRead === 0) break;
      for (const picture of frames.push(buffer.subarray(0, bytesRead))) {
        pictures++;
        await deliver(picture);
      }
    }
  } catch (error) {
    if (!(error instanceof LookoutError)) throw error;
    if (pictures === 0) throw nothing(path, `cannot be played: ${error.message}`, error);
    sink.fault(`${nameForPeople(path)} cannot be decoded to its end: ${error.message}`);
  } finally {
    await file.close();
    if (frames.finish() > 0 && !signal.aborted) {
      sink.fault(`${nameForPeople(path)}: the last picture was cut short`);
    }
  }
  return pictures;
}

const nameForPeople = (path: string) => printable(basename(path));
