import { LookoutError } from '../errors.ts';
import type { FrameFormat } from '../types.ts';
import { Rhythm } from './byte-rhythm.ts';
import { type ChildEnd, runChild } from './child-process.ts';
import { RawFrames, type Strides } from './raw-frames.ts';
import type { FrameSink, SourceContext } from './source.ts';

export interface RawProgram {
  file: string;
  args: readonly string[];
  /** The file descriptor to which it writes its frames. */
  output: 1 | 3;
  format: FrameFormat;
  strides: Strides;
  /** The frame rate that the program was started with. */
  fps: number;
  harmless?: RegExp;
  redact?: (line: string) => string;
  onLine?: (line: string) => LookoutError | undefined;
}

/**
 * Runs a program that writes raw I420 frames, until it ends or `signal` aborts.
 * @throws LookoutError CAPTURE_FRAME_SIZE when the stream is out of sync with the requested frame size
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
          rhythm.frame();
          sink.frame({ format, data });
        }
        if (rhythm.outOfSync) throw outOfSync(program);
      }
    } finally {
      cutShort = frames.finish();
    }
  });
  if (cutShort > 0 && !signal.aborted) sink.fault(`${end.program}: the last frame was truncated`);
  return end;
}

function outOfSync({ file, format: { width, height } }: RawProgram): LookoutError {
  return new LookoutError(
    'CAPTURE_FRAME_SIZE',
    `${file}: the stream is out of sync with frames of ${width}×${height}`,
    {
      hint: 'The program changed its frame size or lost bytes. Check that `width` and `height` match what it writes.',
    },
  );
}
