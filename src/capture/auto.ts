import type { SourceConfig } from '../config/sources.ts';
import { LookoutError } from '../errors.ts';
import { type FoundCamera, surveyCameras } from './discover.ts';
import type { FrameSink, Source, SourceContext } from './source.ts';

export type AutoConfig = Extract<SourceConfig, { kind: 'auto' }>;

/** Uses the first camera of this machine. It searches again at each start, so you can plug a camera in later. */
export class AutoSource implements Source {
  readonly description = 'the first camera found';
  readonly #config: AutoConfig;
  readonly #context: SourceContext;
  readonly #open: (camera: FoundCamera) => Promise<Source>;

  /** @param open creates the source of a camera that was found */
  constructor(config: AutoConfig, context: SourceContext, open: (camera: FoundCamera) => Promise<Source>) {
    this.#config = config;
    this.#context = context;
    this.#open = open;
  }

  /** @throws LookoutError CAPTURE_NO_CAMERA, or any error of the camera's own source */
  async run(sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { found, missing } = await surveyCameras({ ...this.#context, signal });
    if (signal.aborted) return;
    const [first] = found;
    if (!first) {
      throw new LookoutError('CAPTURE_NO_CAMERA', `no camera found on this machine. ${missing.join('. ')}.`, {
        hint: 'Plug a camera in, configure a network camera with `kind: rtsp` or `http`, or try `kind: demo`.',
      });
    }
    const { width, height, fps } = this.#config;
    const choice =
      found.length === 1 ? 'the only camera found' : `the first of ${found.length}: ${first.reason}`;
    this.#context.log.info(`auto selects ${first.description}, ${width}×${height}, ${fps} fps (${choice})`);
    await (await this.#open(first)).run(sink, signal);
  }
}
