import { LookoutError } from '../errors.ts';
import type { Colour, FrameFormat, RawFrame } from '../types.ts';
import { RawFrames, tightStrides } from './raw-frames.ts';
import type { FrameSink } from './source.ts';

const NEWLINE = 10;
const LONGEST_LINE = 1024;
const LARGEST_SIDE = 8192;

/**
 * Reads a YUV4MPEG2 stream: one line with the size, then for each frame a line `FRAME` and its I420 planes. ffmpeg
 * writes it (`-f yuv4mpegpipe`). It is better than raw frames because it contains its size and shows at every frame
 * whether the stream is still in sync.
 * Format: https://wiki.multimedia.cx/index.php/YUV4MPEG2
 */
export class Y4mFrames {
  readonly #colour: Colour;
  readonly #sink: Pick<FrameSink, 'acquire' | 'release'>;
  #line = '';
  #inFrame = false;
  #format: FrameFormat | null = null;
  #frames: RawFrames | null = null;

  /** @param colour the YUV colour space, which the header does not contain */
  constructor(colour: Colour, sink: Pick<FrameSink, 'acquire' | 'release'>) {
    this.#colour = colour;
    this.#sink = sink;
  }

  /**
   * Consumes the next piece of the stream and yields each frame that it completes.
   * @throws LookoutError CAPTURE_STREAM when the stream is malformed
   */
  *push(chunk: Buffer): Generator<RawFrame> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#inFrame && this.#frames && this.#format) {
        const end = Math.min(chunk.length, at + this.#frames.missing);
        for (const data of this.#frames.push(chunk.subarray(at, end))) {
          this.#inFrame = false;
          yield { format: this.#format, data };
        }
        at = end;
      } else at = this.#readLine(chunk, at);
    }
  }

  /** Discards an unfinished frame. @returns how many of its bytes had arrived */
  finish(): number {
    return this.#frames?.finish() ?? 0;
  }

  #readLine(chunk: Buffer, at: number): number {
    const newline = chunk.indexOf(NEWLINE, at);
    const end = newline === -1 ? chunk.length : newline;
    if (this.#line.length + end - at > LONGEST_LINE)
      throw malformed('a line of text', 'more than 1024 bytes');
    this.#line += chunk.toString('latin1', at, end);
    if (newline === -1) return end;
    const line = this.#line;
    this.#line = '';
    if (this.#format === null) {
      this.#format = parseHeader(line, this.#colour);
      this.#frames = new RawFrames(this.#format, tightStrides(this.#format), this.#sink);
    } else {
      if (!/^FRAME( |$)/.test(line))
        throw malformed('the start of a frame', JSON.stringify(line.slice(0, 40)));
      this.#inFrame = true;
    }
    return newline + 1;
  }
}

function parseHeader(line: string, colour: Colour): FrameFormat {
  const [magic, ...fields] = line.split(' ');
  if (magic !== 'YUV4MPEG2') throw malformed('a YUV4MPEG2 header', JSON.stringify(line.slice(0, 40)));
  const field = (key: string) => fields.find((text) => text.startsWith(key))?.slice(1);
  const width = Number(field('W'));
  const height = Number(field('H'));
  for (const side of [width, height]) {
    if (!Number.isInteger(side) || side < 2 || side > LARGEST_SIDE || side % 2 !== 0) {
      throw malformed('an even width and height', `${width}×${height}`);
    }
  }
  const sampling = field('C') ?? '420';
  if (!/^420(jpeg|mpeg2|paldv)?$/.test(sampling)) throw malformed('8-bit 4:2:0 pixels', sampling);
  return { width, height, pixels: 'i420', colour };
}

function malformed(expected: string, found: string): LookoutError {
  return new LookoutError('CAPTURE_STREAM', `video stream: expected ${expected}, found ${found}`);
}
