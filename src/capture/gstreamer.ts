/** GStreamer pipelines: the camera connector of a Jetson, or any other pipeline that ends in raw frames. */
import type { SourceConfig } from '../config/sources.ts';
import type { FrameFormat } from '../types.ts';
import { redactor } from './camera-address.ts';
import { endError } from './child-process.ts';
import { requireProgram } from './programs.ts';
import type { Strides } from './raw-frames.ts';
import { runRawProgram } from './raw-stream.ts';
import type { FrameSink, Source, SourceContext } from './source.ts';

export type GstreamerConfig = Extract<SourceConfig, { kind: 'gstreamer' }>;

const DEVICE = {
  faults: /no cameras available|no such device|cannot identify device|resource busy|failed to create camera/i,
  hint: 'Check the ribbon cable and the sensor number. If another program used the camera, restart nvargus-daemon.',
};

export class GstreamerSource implements Source {
  readonly description: string;
  readonly #config: GstreamerConfig;
  readonly #context: SourceContext;

  constructor(config: GstreamerConfig, context: SourceContext) {
    const { sensor, pipeline, width, height, fps } = config;
    const what = pipeline ? `gstreamer ${pipeline[0]?.split(/[\s=]/)[0]} …` : `Jetson camera ${sensor}`;
    this.description = `${what}, ${width}×${height}, ${fps} fps`;
    this.#config = config;
    this.#context = context;
  }

  async run(sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { width, height, fps, pipeline = jetsonPipeline(this.#config) } = this.#config;
    const file = await requireProgram(['gst-launch-1.0'], this.#context.env);
    const format: FrameFormat = { width, height, pixels: 'i420', colour: 'bt601' };
    const end = await runRawProgram(
      {
        file,
        args: ['--quiet', ...pipeline],
        output: pipeline.includes('fd=3') ? 3 : 1,
        format,
        strides: rowStrides(width),
        fps,
        redact: redactor(...pipeline),
      },
      this.#context,
      sink,
      signal,
    );
    if (!signal.aborted) throw endError(end, DEVICE);
  }
}

/**
 * The pipeline for the camera connector of a Jetson, scaled and converted by its hardware. It writes frames to
 * descriptor 3 because nvarguscamerasrc prints to stdout.
 */
export function jetsonPipeline({ sensor, width, height, fps }: GstreamerConfig): string[] {
  const size = `width=${width},height=${height}`;
  const elements = [
    ['nvarguscamerasrc', `sensor-id=${sensor}`],
    [`video/x-raw(memory:NVMM),format=NV12,${size}`],
    ['nvvidconv'],
    [`video/x-raw,format=I420,${size}`],
    ['videorate', 'drop-only=true'],
    [`video/x-raw,framerate=${fraction(fps)}`],
    ['fdsink', 'fd=3', 'sync=false'],
  ];
  return elements.flatMap((words, i) => (i === 0 ? words : ['!', ...words]));
}

/** A frame rate as a GStreamer fraction: 10/1, 25/2. */
function fraction(fps: number): string {
  for (let divisor = 1; divisor <= 100; divisor++) {
    if (Number.isInteger(fps * divisor)) return `${fps * divisor}/${divisor}`;
  }
  return `${Math.round(fps * 1000)}/1000`;
}

/** GStreamer starts each row of I420 at a multiple of 4 bytes (`fill_planes` in gst-plugins-base, video-info.c). */
export function rowStrides(width: number): Strides {
  const aligned = (bytes: number) => Math.ceil(bytes / 4) * 4;
  return { luma: aligned(width), chroma: aligned(width / 2) };
}
