import { LookoutError } from '../errors.ts';
import type { FrameFormat } from '../types.ts';
import { Rhythm } from './byte-rhythm.ts';
import { type ChildEnd, runChild } from './child-process.ts';
import type { SourceContext } from './context.ts';
import { RawFrames, type Strides } from './raw-frames.ts';
import type { FrameSink } from './source.ts';

export interface RawProgram {
  file: string;
  args: readonly string[];
  /** The file descriptor on which it gives its pictures. */
  output: 1 | 3;
  format: FrameFormat;
  strides: Strides;
  /** Pictures per second that it was told to give. */
  fps: number;
  harmless?: RegExp;
  redact?: (line: string) => string;
  onLine?: (line: string) => LookoutError | undefined;
}

/**
 * Runs a program that gives bare I420 frames, until it ends or `signal` aborts.
 * @throws LookoutError CAPTURE_FRAME_SIZE when the stream is out of step with the frames that were asked for
 */
export async function runRawProgram(
  program: RawProgram,
  { clock, log, env }: SourceContext,
  sink: FrameSink,
  signal: AbortSignal,
): Promise<ChildEnd> {
  const { format, strides, fps } = program;
  const frames = new RawFrames(format, strides, sink);
  const rhythm = new Rhythm(clock, fps);
  let cutShort = 0;
  const end = await runChild({ ...program, env, clock, log, signal }, async (output) => {
    try {
      for await (const chunk of output) {
        rhythm.bytes(frames.received);
        for (const data of frames.push(chunk)) {
          rhythm.picture();
          sink.frame({ format, data });
        }
        if (rhythm.outOfStep) throw outOfStep(program);
      }
    } finally {
      cutShort = frames.finish();
    }
  });
  if (cutShort > 0 && !signal.aborted) sink.fault(`${end.program}: the last picture was cut short`);
  return end;
}

function outOfStep({ file, format: { width, height } }: RawProgram): LookoutError {
  return new LookoutError(
    'CAPTURE_FRAME_SIZE',
    `${file}: expected frames of ${width}×${height}, found the stream out of step with them`,
    { hint: 'The program changed the size of its pictures or lost some bytes.' },
  );
}
