import type { SourceConfig } from '../config/sources.ts';
import { LookoutError } from '../errors.ts';
import type { SourceContext } from './context.ts';
import { type FoundCamera, surveyCameras } from './discover.ts';
import type { FrameSink, Source } from './source.ts';

export type AutoConfig = Extract<SourceConfig, { kind: 'auto' }>;

/** Takes the first camera that the machine has. It looks anew at each start, so one may be plugged in later. */
export class AutoSource implements Source {
  readonly description = 'the first camera that is found';
  readonly #config: AutoConfig;
  readonly #context: SourceContext;
  readonly #open: (camera: FoundCamera) => Promise<Source>;

  /** @param open makes the source of a camera that was found */
  constructor(config: AutoConfig, context: SourceContext, open: (camera: FoundCamera) => Promise<Source>) {
    this.#config = config;
    this.#context = context;
    this.#open = open;
  }

  /** @throws LookoutError CAPTURE_NO_CAMERA, or whatever the camera's own source throws */
  async run(sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { found, missing } = await surveyCameras({ ...this.#context, signal });
    if (signal.aborted) return;
    const [first] = found;
    if (!first) {
      throw new LookoutError('CAPTURE_NO_CAMERA', `found no camera on this machine. ${missing.join('. ')}.`, {
        hint: 'Plug one in, name a network camera with `kind: rtsp` or `http`, or look at `kind: demo`.',
      });
    }
    const { width, height, fps } = this.#config;
    const choice =
      found.length === 1 ? 'the only one found' : `the first of ${found.length}: ${first.reason}`;
    this.#context.log.info(`auto takes ${first.description}, ${width}×${height}, ${fps} fps (${choice})`);
    await (await this.#open(first)).run(sink, signal);
  }
}
