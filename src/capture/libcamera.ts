/** Raspberry Pi cameras as continuous video, through rpicam-vid (bookworm and later) or libcamera-vid (bullseye). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SourceConfig } from '../config/sources.ts';
import { LookoutError } from '../errors.ts';
import type { FrameFormat } from '../types.ts';
import { endError } from './child-process.ts';
import { requireProgram } from './programs.ts';
import type { Strides } from './raw-frames.ts';
import { runRawProgram } from './raw-stream.ts';
import type { FrameSink, Source, SourceContext } from './source.ts';

export type LibcameraConfig = Extract<SourceConfig, { kind: 'libcamera' }>;

export const VIDEO_PROGRAMS = ['rpicam-vid', 'libcamera-vid'] as const;
export const DEVICE_FAULTS = {
  faults: /no cameras available|failed to acquire camera|selected camera is not available|in use by another/i,
  hint: 'Check the ribbon cable, run `rpicam-hello --list-cameras`, and make sure that no other program uses the camera.',
};

/** Log lines of libcamera about its own setup. */
const SETUP_LINES = /\b(DEBUG|INFO)\b/;
const CONFIGURED = /configuring streams: \(0\) (\d+)x(\d+)-/;

export class LibcameraSource implements Source {
  readonly description: string;
  readonly #config: LibcameraConfig;
  readonly #context: SourceContext;

  constructor(config: LibcameraConfig, context: SourceContext) {
    const { camera, width, height, fps } = config;
    this.description = `libcamera camera ${camera}, ${width}×${height}, ${fps} fps`;
    this.#config = config;
    this.#context = context;
  }

  async run(sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { width, height, fps } = this.#config;
    const { env, root } = this.#context;
    const file = await requireProgram(VIDEO_PROGRAMS, env);
    // The program sets the colour space sYCC for raw output: BT.601, full range.
    const format: FrameFormat = { width, height, pixels: 'i420', colour: 'jpeg' };
    const end = await runRawProgram(
      {
        file,
        args: videoArguments(this.#config),
        output: 1,
        format,
        strides: rowStrides(width, await hasPisp(root)),
        fps,
        harmless: SETUP_LINES,
        onLine: (line) => wrongSize(line, format),
      },
      this.#context,
      sink,
      signal,
    );
    if (!signal.aborted) throw endError(end, DEVICE_FAULTS);
  }
}

/** Arguments for raw YUV 4:2:0 frames on stdout, each flushed immediately. */
export function videoArguments({ camera, width, height, fps }: LibcameraConfig): string[] {
  const settings = { camera, width, height, framerate: fps, timeout: 0, codec: 'yuv420', output: '-' };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return [...args, '--nopreview', '--flush'];
}

/**
 * The row strides of a YUV 4:2:0 frame. The stream does not contain them, but each of the two image processors has its
 * rule: on the Pi 4 and earlier, Y rows start at multiples of 64 bytes (U and V rows, half as long, at 32); the PiSP of
 * the Pi 5 requires 64 for U and V, and therefore 128 for Y. A width that is a multiple of 128, such as 640, 1280 or
 * 1920, is never padded.
 * Sources: bcm2835-isp in the Raspberry Pi kernel; `computeOptimalStride` of libcamera's pipeline rpi/pisp.
 */
export function rowStrides(width: number, pisp: boolean): Strides {
  const unit = pisp ? 128 : 64;
  const luma = Math.ceil(width / unit) * unit;
  return { luma, chroma: luma / 2 };
}

/** Whether the board has the PiSP image processor: the Pi 5 family, built around the BCM2712. */
async function hasPisp(root: string): Promise<boolean> {
  try {
    return (await readFile(join(root, 'proc/device-tree/compatible'), 'latin1')).includes('brcm,bcm2712');
  } catch {
    return false;
  }
}

function wrongSize(line: string, { width, height }: FrameFormat): LookoutError | undefined {
  const [, foundWidth, foundHeight] = CONFIGURED.exec(line) ?? [];
  if (foundWidth === undefined || (Number(foundWidth) === width && Number(foundHeight) === height)) return;
  return new LookoutError(
    'CAPTURE_FRAME_SIZE',
    `libcamera: expected frames of ${width}×${height}, the camera sends ${foundWidth}×${foundHeight}`,
    { hint: `Set \`width: ${foundWidth}\` and \`height: ${foundHeight}\`, or a smaller size.` },
  );
}
