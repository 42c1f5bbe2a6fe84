/** Plays recorded pictures: a folder of JPEG and PNG files, or a video. */
import { open, readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { SourceConfig } from '../config/sources.ts';
import { LookoutError, messageOf } from '../errors.ts';
import type { SourceContext } from './context.ts';
import { runFfmpeg } from './ffmpeg.ts';
import type { FrameSink, Picture, Source } from './source.ts';
import { Pacer } from './wait.ts';
import { Y4mFrames } from './y4m.ts';

export type ReplayConfig = Extract<SourceConfig, { kind: 'replay' }>;

/** Hands a picture over when its time has come. */
type Deliver = (picture: Picture) => Promise<void>;

/** Plays everything once; tells how many pictures there were. */
type Pass = (sink: FrameSink, signal: AbortSignal, deliver: Deliver) => Promise<number>;

/**
 * A folder or a video file, as `path` turns out to be.
 * @throws LookoutError CAPTURE_FILE when there is neither
 */
export async function replaySource(config: ReplayConfig, context: SourceContext): Promise<Source> {
  const { path } = config;
  let folder: boolean;
  try {
    folder = (await stat(path)).isDirectory();
  } catch (error) {
    throw new LookoutError('CAPTURE_FILE', `replay path ${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (folder) return new ReplaySource(config, context, (...pass) => playFolder(config, ...pass));
  if (/\.y4m$/i.test(path)) return new ReplaySource(config, context, (...pass) => playY4m(config, ...pass));
  return new ReplaySource(config, context, (...pass) => playVideo(config, context, ...pass));
}

class ReplaySource implements Source {
  readonly description: string;
  readonly #config: ReplayConfig;
  readonly #context: SourceContext;
  readonly #pass: Pass;

  constructor(config: ReplayConfig, context: SourceContext, pass: Pass) {
    this.description = `replay of ${config.path}`;
    this.#config = config;
    this.#context = context;
    this.#pass = pass;
  }

  async run(sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { pace, fps, loop, path } = this.#config;
    const pacer = new Pacer(this.#context.clock, fps);
    const deliver: Deliver = async (picture) => {
      if (pace === 'real') await pacer.next(signal);
      sink.picture(picture);
      if (pace === 'consumed') await sink.consumed();
    };
    do {
      const pictures = await this.#pass(sink, signal, deliver);
      if (pictures === 0 && !signal.aborted) {
        throw new LookoutError('CAPTURE_FILE', `${path}: expected pictures, found none that can be decoded`);
      }
    } while (loop && !signal.aborted);
    if (!signal.aborted) await sink.consumed();
  }
}

const byNumber = new Intl.Collator('en', { numeric: true });

/** Pictures of a folder that are decoded at the same time, or wait for those before them. */
const DECODED_AHEAD = 3;

/** Plays a folder in the order of the names, 2.jpg before 10.jpg, decoding the next pictures while one is used. */
async function playFolder(
  { path, width, height }: ReplayConfig,
  sink: FrameSink,
  signal: AbortSignal,
  deliver: Deliver,
): Promise<number> {
  const names = (await readdir(path)).filter((name) => /\.(jpe?g|png)$/i.test(name)).sort(byNumber.compare);
  const { decodePicture } = await import('./picture.ts');
  const decode = async (name: string): Promise<{ picture: Picture } | { fault: string }> => {
    try {
      return { picture: await decodePicture(join(path, name), width, height, sink) };
    } catch (error) {
      return { fault: `${name} cannot be decoded: ${messageOf(error)}` };
    }
  };
  const decoding = names.splice(0, DECODED_AHEAD).map(decode);
  let pictures = 0;
  while (decoding.length > 0 && !signal.aborted) {
    const decoded = await decoding[0]!;
    decoding.shift();
    decoding.push(...names.splice(0, 1).map(decode));
    if ('fault' in decoded) {
      sink.fault(decoded.fault);
      continue;
    }
    pictures++;
    await deliver(decoded.picture);
  }
  for (const unused of await Promise.all(decoding))
    if ('picture' in unused) sink.release(unused.picture.data);
  return pictures;
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
      `${basename(path)} cannot be decoded to its end: ${end.lines.at(-1) ?? end.signal ?? end.code}`,
    );
  }
  return pictures;
}

/** Plays an uncompressed video without ffmpeg, every picture and in its own size. */
async function playY4m(
  { path }: ReplayConfig,
  sink: FrameSink,
  signal: AbortSignal,
  deliver: Deliver,
): Promise<number> {
  const frames = new Y4mFrames('bt601', sink);
  const buffer = Buffer.allocUnsafeSlow(1 << 20);
  const file = await open(path);
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
  } finally {
    await file.close();
    if (frames.finish() > 0 && !signal.aborted) {
      sink.fault(`${basename(path)}: the last picture was cut short`);
    }
  }
  return pictures;
}
