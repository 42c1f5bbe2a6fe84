/** ffmpeg as a child that takes in anything and gives I420 pictures, scaled and thinned out, as a YUV4MPEG2 stream. */
import type { LookoutError } from '../errors.ts';
import type { RawFrame } from '../types.ts';
import { type ChildEnd, endError, runChild } from './child-process.ts';
import type { SourceContext } from './context.ts';
import { ffmpegFault, type NetworkCamera } from './network-fault.ts';
import { requireProgram } from './programs.ts';
import type { FrameSink, Source } from './source.ts';
import { Y4mFrames } from './y4m.ts';

export type Hwaccel = 'none' | 'auto' | 'drm' | 'v4l2m2m' | 'vaapi' | 'cuda' | 'nvv4l2';

/** How ffmpeg is told to use each hardware decoder. Those named by a codec decode H.264 only. */
const DECODERS: Record<Hwaccel, string[]> = {
  none: [],
  auto: ['-hwaccel', 'auto'],
  drm: ['-hwaccel', 'drm'],
  v4l2m2m: ['-c:v', 'h264_v4l2m2m'],
  vaapi: ['-hwaccel', 'vaapi'],
  cuda: ['-hwaccel', 'cuda'],
  nvv4l2: ['-c:v', 'h264_nvv4l2dec'],
};

/**
 * Options of an input whose pictures count from when they arrive: what is live has no times, or wrong ones. The time of
 * arrival is that of this machine's wall clock, which jumps when it is set: without the threshold (in seconds) ffmpeg
 * would throw such times away and guess a rate.
 */
export const ARRIVAL = ['-use_wallclock_as_timestamps', '1', '-dts_error_threshold', '4000000000'];

/**
 * Options of an input that comes as fast as it is read and plays at the pace of its own times. Times that jump by more
 * than the threshold (in seconds) count as absent: ffmpeg would wait for them.
 */
export const OWN_PACE = ['-re', '-dts_error_threshold', '10'];

export interface FfmpegInput {
  /** Options of the input, ending in `-i` and its name. */
  args: readonly string[];
  /** What ffmpeg reads on its standard input. */
  stdin?: string | AsyncIterable<Buffer>;
  redact?: (line: string) => string;
  /** Variables of the environment that it gets besides. */
  env?: NodeJS.ProcessEnv;
  /** The network camera behind the input. */
  camera?: NetworkCamera;
  /** Lines that tell of a fault of the device, and what to do then. */
  device?: { faults: RegExp; hint: string };
}

export interface FfmpegOutput {
  width: number;
  height: number;
  fps: number;
  hwaccel: Hwaccel;
}

/** Arguments of ffmpeg for one video stream in and YUV4MPEG2 out. */
export function ffmpegArguments(input: FfmpegInput, output: FfmpegOutput): string[] {
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'error'],
    ...DECODERS[output.hwaccel],
    ...input.args,
    ...['-map', '0:v:0', '-vf', filters(output), '-r', String(output.fps)],
    ...['-f', 'yuv4mpegpipe', '-flush_packets', '1', 'pipe:1'],
  ];
}

/**
 * In this order, so that the costly steps see few pixels:
 * - `select` keeps the first picture of each 1/fps seconds and never doubles one; where times jump back by more than a
 *   second, because a clock was set, it starts again from there. `setpts` then numbers the pictures, so that ffmpeg,
 *   which makes the output's rate constant, finds nothing to add or drop;
 * - the first `scale` fits the picture into the size, proportions kept, averaging what it shrinks;
 * - the second turns the colours into BT.601 limited range, which is what the frames are said to be.
 */
function filters({ width, height, fps }: FfmpegOutput): string {
  const slot = (time: string) => `floor(${time}*${fps}+0.5)`;
  const even = (size: string) => `max(2,2*trunc(${size}/2+0.5))`;
  return [
    `select='isnan(prev_selected_t)+gt(${slot('t')},${slot('prev_selected_t')})+lt(t,prev_selected_t-1)'`,
    `setpts='N/(${fps}*TB)'`,
    `scale=w='${even(`min(${width},${height}*dar)`)}':h='${even(`min(${height},${width}/dar)`)}':flags=area`,
    'scale=out_color_matrix=bt601:out_range=tv',
    'format=yuv420p',
  ].join(',');
}

/**
 * Runs ffmpeg until its input ends or `signal` aborts.
 * @param deliver takes each picture; ffmpeg waits for what it returns
 */
export async function runFfmpeg(
  input: FfmpegInput,
  output: FfmpegOutput,
  { clock, log, env }: SourceContext,
  sink: FrameSink,
  signal: AbortSignal,
  deliver: (picture: RawFrame) => void | Promise<void>,
): Promise<ChildEnd> {
  const file = await requireProgram(['ffmpeg'], env);
  const { stdin, redact } = input;
  const options = {
    file,
    args: ffmpegArguments(input, output),
    env: { ...env, ...input.env },
    clock,
    log,
    signal,
    ...(stdin === undefined ? {} : { input: stdin }),
    ...(redact === undefined ? {} : { redact }),
  };
  const frames = new Y4mFrames('bt601', sink);
  let cutShort = 0;
  const end = await runChild(options, async (stream) => {
    try {
      for await (const chunk of stream) {
        for (const picture of frames.push(chunk)) await deliver(picture);
      }
    } finally {
      cutShort = frames.finish();
    }
  });
  if (cutShort > 0 && !signal.aborted) sink.fault('ffmpeg: the last picture was cut short');
  return end;
}

/** A source that ffmpeg takes in and that is not meant to end. */
export class FfmpegSource implements Source {
  readonly description: string;
  readonly #input: FfmpegInput;
  readonly #output: FfmpegOutput;
  readonly #context: SourceContext;

  constructor(description: string, input: FfmpegInput, output: FfmpegOutput, context: SourceContext) {
    this.description = `${description}, at most ${output.width}×${output.height}, ${output.fps} fps`;
    this.#input = input;
    this.#output = output;
    this.#context = context;
  }

  /** @throws LookoutError CAPTURE_* when the stream ends */
  async run(sink: FrameSink, signal: AbortSignal): Promise<void> {
    const end = await runFfmpeg(this.#input, this.#output, this.#context, sink, signal, (picture) =>
      sink.frame(picture),
    );
    if (!signal.aborted) throw ffmpegError(this.#input, end);
  }
}

/** Why ffmpeg came to its end: by what the camera answered, by a fault of the device, or by itself. */
export function ffmpegError({ camera, device }: FfmpegInput, end: ChildEnd): LookoutError {
  return (camera && ffmpegFault(camera, end.lines)) ?? endError(end, device);
}
