/**
 * Filters one plane of a frame in the pixel memory to another size. The frame is at the beginning of the memory; a
 * Layout allocates tables and buffers behind it.
 */
import type { FrameFormat } from '../types.ts';
import { columnWeights, rowTables, type Taps } from './filter.ts';
import { COLUMN_BLOCK, type Kernels, type PixelMemory, ROW_BLOCK } from './kernels.ts';

/** Bytes of a frame of the given format, planes tightly packed. */
export function frameBytes({ width, height, pixels }: FrameFormat): number {
  return pixels === 'i420' ? (width * height * 3) / 2 : width * height * 3;
}

/** Allocates areas of the memory behind a frame, and fills those that contain constants. */
export class Layout {
  readonly #constants: { address: number; data: Uint8Array }[] = [];
  #end: number;

  constructor(format: FrameFormat) {
    this.#end = frameBytes(format);
  }

  area(bytes: number): number {
    const address = Math.ceil(this.#end / 16) * 16;
    this.#end = address + bytes;
    return address;
  }

  constant(data: ArrayBufferView<ArrayBuffer>): number {
    const address = this.area(data.byteLength);
    this.#constants.push({ address, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) });
    return address;
  }

  /** Grows the memory if needed and writes the constants, which another layout may have overwritten. */
  prepare(memory: PixelMemory): Uint8Array<ArrayBuffer> {
    const bytes = memory.bytes(this.#end);
    for (const { address, data } of this.#constants) bytes.set(data, address);
    return bytes;
  }
}

/** Filters planes of one size, one output line at a time: `columns`, then `row` for each of the line's channels. */
export class PlaneFilter {
  /** Output samples in a line, rounded up to a full PIXEL_BLOCK. */
  readonly count: number;
  /** Bytes from line to line of the plane, and offset and number of the needed bytes of each line. */
  readonly #stride: number;
  readonly #first: number;
  readonly #width: number;
  readonly #down: Taps;
  /** Addresses: vertical weights, the filtered line, horizontal tables. */
  readonly #downWeights: number;
  readonly #line: number;
  readonly #starts: number;
  readonly #weights: number;
  /** Bytes of weights for one ROW_BLOCK of output samples. */
  readonly #blockBytes: number;

  /**
   * @param plane samples per line, and bytes from one sample to the next (3: interleaved channels)
   * @param across weights of the samples of each output line
   * @param down weights of the lines
   */
  constructor(layout: Layout, plane: { width: number; step: number }, across: Taps, down: Taps) {
    const { width, step } = plane;
    const first = across.starts[0]!;
    const end = across.starts.at(-1)! + across.lengths.at(-1)!;
    const tables = rowTables(across, first, step);
    this.count = tables.starts.length;
    this.#stride = width * step;
    this.#first = first * step;
    this.#width = (end - first) * step;
    this.#down = down;
    this.#downWeights = layout.constant(columnWeights(down));
    const columns = Math.ceil(this.#width / COLUMN_BLOCK) * COLUMN_BLOCK;
    this.#line = layout.area((columns + step + tables.length) * 2);
    this.#starts = layout.constant(tables.starts);
    this.#weights = layout.constant(tables.weights);
    this.#blockBytes = tables.length * ROW_BLOCK * 2;
  }

  /** Filters vertically: all source samples of output line `index` of the plane at address `plane`. */
  columns(kernels: Kernels, plane: number, index: number): void {
    const { starts, lengths, reach } = this.#down;
    const source = plane + starts[index]! * this.#stride + this.#first;
    const weights = this.#downWeights + index * reach * 2;
    kernels.filterColumns(source, this.#stride, lengths[index]!, weights, this.#line, this.#width);
  }

  /** Filters the line that `columns` produced horizontally, to `count` 16-bit samples of 1/64 level. */
  row(kernels: Kernels, channel: number, target: number): void {
    const source = this.#line + channel * 2;
    kernels.filterRow(source, this.#starts, this.#weights, this.#blockBytes, target, this.count);
  }
}
