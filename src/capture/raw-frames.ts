import { recordStage } from '../runtime/stage-times.ts';
import type { FrameFormat } from '../types.ts';
import type { FrameSink } from './source.ts';

/** Bytes from the start of one row to the start of the next, in the Y plane and in the U and V planes. */
export interface Strides {
  luma: number;
  chroma: number;
}

/** A run of equal rows in the stream, and where its pixels go in the tightly packed frame. */
interface Plane {
  start: number;
  end: number;
  stride: number;
  rowBytes: number;
  target: number;
}

/** The strides of rows without padding. */
export function tightStrides({ width }: FrameFormat): Strides {
  return { luma: width, chroma: width / 2 };
}

/**
 * Splits a stream of raw I420 frames into pooled buffers and removes the row padding. Copies each byte once and
 * allocates only a view per frame.
 */
export class RawFrames {
  readonly #sink: Pick<FrameSink, 'acquire' | 'release'>;
  readonly #planes: Plane[];
  readonly #streamBytes: number;
  readonly #frameBytes: number;
  #frame: Uint8Array<ArrayBuffer> | null = null;
  #began = 0;
  #position = 0;
  #plane = 0;

  constructor(format: FrameFormat, strides: Strides, sink: Pick<FrameSink, 'acquire' | 'release'>) {
    const { width, height } = format;
    this.#sink = sink;
    this.#frameBytes = (width * height * 3) / 2;
    const tight = strides.luma === width && strides.chroma === width / 2;
    this.#planes = tight ? [rows(null, 1, this.#frameBytes, this.#frameBytes)] : planes(format, strides);
    this.#streamBytes = this.#planes.at(-1)?.end ?? 0;
  }

  /** Bytes of the unfinished frame that have arrived. */
  get received(): number {
    return this.#position;
  }

  /** Bytes that are missing from the unfinished frame. */
  get missing(): number {
    return this.#streamBytes - this.#position;
  }

  /** Consumes the next piece of the stream and yields each frame that it completes. */
  *push(chunk: Buffer): Generator<ArrayBuffer> {
    let at = 0;
    while (at < chunk.length) {
      this.#frame ??= this.#begin();
      const plane = this.#planes[this.#plane]!;
      const inPlane = this.#position - plane.start;
      const inRow = inPlane % plane.stride;
      const padding = inRow >= plane.rowBytes;
      const count = Math.min((padding ? plane.stride : plane.rowBytes) - inRow, chunk.length - at);
      if (!padding) {
        const row = (inPlane - inRow) / plane.stride;
        chunk.copy(this.#frame, plane.target + row * plane.rowBytes + inRow, at, at + count);
      }
      at += count;
      this.#position += count;
      if (this.#position === plane.end) this.#plane++;
      if (this.#position === this.#streamBytes) {
        const { buffer } = this.#frame;
        this.#reset();
        recordStage('capture', performance.now() - this.#began);
        yield buffer;
      }
    }
  }

  /** Discards an unfinished frame. @returns how many of its bytes had arrived */
  finish(): number {
    const { received } = this;
    if (this.#frame) this.#sink.release(this.#frame.buffer);
    this.#reset();
    return received;
  }

  #begin(): Uint8Array<ArrayBuffer> {
    this.#began = performance.now();
    return new Uint8Array(this.#sink.acquire(this.#frameBytes));
  }

  #reset(): void {
    this.#frame = null;
    this.#position = 0;
    this.#plane = 0;
  }
}

function planes({ width, height }: FrameFormat, { luma, chroma }: Strides): Plane[] {
  const y = rows(null, height, luma, width);
  const u = rows(y, height / 2, chroma, width / 2);
  return [y, u, rows(u, height / 2, chroma, width / 2)];
}

function rows(before: Plane | null, count: number, stride: number, rowBytes: number): Plane {
  const start = before?.end ?? 0;
  const target = before ? before.target + ((before.end - before.start) / before.stride) * before.rowBytes : 0;
  return { start, end: start + count * stride, stride, rowBytes, target };
}
