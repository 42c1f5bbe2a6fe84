import { LookoutError } from '../errors.ts';
import type { Colour, FrameFormat, RawFrame } from '../types.ts';
import { RawFrames, tightStrides } from './raw-frames.ts';
import type { FrameSink } from './source.ts';

const NEWLINE = 10;
const LONGEST_LINE = 1024;
const LARGEST_SIDE = 8192;

/**
 * Reads a YUV4MPEG2 stream: one line with the size, then for each picture a line `FRAME` and its I420 planes. ffmpeg
 * writes it (`-f yuv4mpegpipe`), and it is preferred to bare frames because it says its size and shows at every
 * picture whether the stream is still in step.
 * Format: https://wiki.multimedia.cx/index.php/YUV4MPEG2
 */
export class Y4mFrames {
  readonly #colour: Colour;
  readonly #sink: Pick<FrameSink, 'acquire' | 'release'>;
  #line = '';
  #inPicture = false;
  #format: FrameFormat | null = null;
  #frames: RawFrames | null = null;

  /** @param colour what the stream's YUV means, which its header does not tell */
  constructor(colour: Colour, sink: Pick<FrameSink, 'acquire' | 'release'>) {
    this.#colour = colour;
    this.#sink = sink;
  }

  /**
   * Takes the next piece of the stream and yields each picture that it completes.
   * @throws LookoutError CAPTURE_STREAM when the stream is not what it should be
   */
  *push(chunk: Buffer): Generator<RawFrame> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#inPicture && this.#frames && this.#format) {
        const end = Math.min(chunk.length, at + this.#frames.missing);
        for (const data of this.#frames.push(chunk.subarray(at, end))) {
          this.#inPicture = false;
          yield { format: this.#format, data };
        }
        at = end;
      } else at = this.#readLine(chunk, at);
    }
  }

  /** Gives an unfinished picture up; tells how many bytes of it had come. */
  finish(): number {
    return this.#frames?.finish() ?? 0;
  }

  #readLine(chunk: Buffer, at: number): number {
    const newline = chunk.indexOf(NEWLINE, at);
    const end = newline === -1 ? chunk.length : newline;
    if (this.#line.length + end - at > LONGEST_LINE) throw wrong('a line of text', 'more than 1024 bytes');
    this.#line += chunk.toString('latin1', at, end);
    if (newline === -1) return end;
    const line = this.#line;
    this.#line = '';
    if (this.#format === null) {
      this.#format = parseHeader(line, this.#colour);
      this.#frames = new RawFrames(this.#format, tightStrides(this.#format), this.#sink);
    } else {
      if (!/^FRAME( |$)/.test(line)) throw wrong('the start of a picture', JSON.stringify(line.slice(0, 40)));
      this.#inPicture = true;
    }
    return newline + 1;
  }
}

function parseHeader(line: string, colour: Colour): FrameFormat {
  const [magic, ...fields] = line.split(' ');
  if (magic !== 'YUV4MPEG2') throw wrong('a YUV4MPEG2 header', JSON.stringify(line.slice(0, 40)));
  const field = (key: string) => fields.find((text) => text.startsWith(key))?.slice(1);
  const width = Number(field('W'));
  const height = Number(field('H'));
  for (const side of [width, height]) {
    if (!Number.isInteger(side) || side < 2 || side > LARGEST_SIDE || side % 2 !== 0) {
      throw wrong('an even width and height', `${width}×${height}`);
    }
  }
  const sampling = field('C') ?? '420';
  if (!/^420(jpeg|mpeg2|paldv)?$/.test(sampling)) throw wrong('8-bit 4:2:0 pixels', sampling);
  return { width, height, pixels: 'i420', colour };
}

function wrong(expected: string, found: string): LookoutError {
  return new LookoutError('CAPTURE_STREAM', `video stream: expected ${expected}, found ${found}`);
}
