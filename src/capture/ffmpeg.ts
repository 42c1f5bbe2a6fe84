/** ffmpeg as a child process: reads any input and writes scaled I420 frames at the configured rate as YUV4MPEG2. */
import type { LookoutError } from '../errors.ts';
import type { RawFrame } from '../types.ts';
import { type ChildEnd, endError, runChild } from './child-process.ts';
import { ffmpegFault, type NetworkCamera } from './network-fault.ts';
import { requireProgram } from './programs.ts';
import type { FrameSink, Source, SourceContext } from './source.ts';
import { Y4mFrames } from './y4m.ts';

export type Hwaccel = 'none' | 'auto' | 'drm' | 'v4l2m2m' | 'vaapi' | 'cuda' | 'nvv4l2';

/** The ffmpeg options of each hardware decoder. Those that name a codec decode H.264 only. */
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
 * Options of a live input, whose own timestamps are missing or wrong: frames are timed by their arrival. The arrival
 * time comes from this machine's wall clock, which jumps when it is set: without the threshold (in seconds) ffmpeg would
 * discard such times and guess a rate.
 */
export const ARRIVAL = ['-use_wallclock_as_timestamps', '1', '-dts_error_threshold', '4000000000'];

/**
 * Options of a recorded input, which could be read at any speed and plays at the pace of its own timestamps. Timestamps
 * that jump by more than the threshold (in seconds) are ignored: ffmpeg would wait for them.
 */
export const OWN_PACE = ['-re', '-dts_error_threshold', '10'];

export interface FfmpegInput {
  /** Options of the input, ending in `-i` and its name. */
  args: readonly string[];
  /** What ffmpeg reads from its standard input. */
  stdin?: string | AsyncIterable<Buffer>;
  redact?: (line: string) => string;
  /** Additional environment variables. */
  env?: NodeJS.ProcessEnv;
  /** The network camera behind the input. */
  camera?: NetworkCamera;
  /** Lines of stderr that mean a device fault, and its hint. */
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
 * The order keeps the costly steps on few pixels:
 * - `select` keeps the first frame of each 1/fps seconds and never duplicates one. Where timestamps jump back by more
 *   than a second, because a clock was set, it restarts from there. `setpts` then numbers the frames, so that ffmpeg,
 *   which makes the output rate constant, has nothing to add or drop.
 * - the first `scale` fits the frame into the size, keeps its proportions and averages pixels when it shrinks.
 * - the second converts the colours to BT.601 limited range, the colour space that the frames declare.
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
 * @param deliver receives each frame; ffmpeg waits for the promise that it returns
 */
export async function runFfmpeg(
  input: FfmpegInput,
  output: FfmpegOutput,
  { clock, log, env }: SourceContext,
  sink: FrameSink,
  signal: AbortSignal,
  deliver: (frame: RawFrame) => void | Promise<void>,
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
        for (const frame of frames.push(chunk)) await deliver(frame);
      }
    } finally {
      cutShort = frames.finish();
    }
  });
  if (cutShort > 0 && !signal.aborted) sink.fault('ffmpeg: the last frame was truncated');
  return end;
}

/** A source that ffmpeg reads and that is not expected to end. */
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
    const end = await runFfmpeg(this.#input, this.#output, this.#context, sink, signal, (frame) =>
      sink.frame(frame),
    );
    if (!signal.aborted) throw ffmpegError(this.#input, end);
  }
}

/** The error for an unexpected end of ffmpeg: the camera's answer, a device fault, or the exit itself. */
export function ffmpegError({ camera, device }: FfmpegInput, end: ChildEnd): LookoutError {
  return (camera && ffmpegFault(camera, end.lines)) ?? endError(end, device);
}
