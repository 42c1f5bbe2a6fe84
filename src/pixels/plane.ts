/**
 * One plane of a picture in the pixel memory, filtered to another size. The picture lies at the beginning of the
 * memory; tables and buffers behind it, as a Layout hands them out.
 */
import type { FrameFormat } from '../types.ts';
import { columnWeights, rowTables, type Taps } from './filter.ts';
import { COLUMN_BLOCK, type Kernels, type PixelMemory, ROW_BLOCK } from './kernels.ts';

/** Bytes of a picture of the given format, planes tightly packed. */
export function frameBytes({ width, height, pixels }: FrameFormat): number {
  return pixels === 'i420' ? (width * height * 3) / 2 : width * height * 3;
}

/** Hands out areas of the memory behind a picture, and fills those that hold constants. */
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

  /** Makes the memory large enough and writes the constants, which another layout may have overwritten. */
  prepare(memory: PixelMemory): Uint8Array<ArrayBuffer> {
    const bytes = memory.bytes(this.#end);
    for (const { address, data } of this.#constants) bytes.set(data, address);
    return bytes;
  }
}

/** Filters planes of one size, one output line at a time: `columns`, then `row` for each of the line's channels. */
export class PlaneFilter {
  /** Output samples in a line, rounded up to a whole PIXEL_BLOCK. */
  readonly count: number;
  /** Bytes from line to line of the plane, first byte of a line that is needed, and how many are. */
  readonly #stride: number;
  readonly #first: number;
  readonly #width: number;
  readonly #down: Taps;
  /** Addresses: weights down, the filtered line, tables of the way across. */
  readonly #downWeights: number;
  readonly #line: number;
  readonly #starts: number;
  readonly #weights: number;
  /** Bytes of weights for one ROW_BLOCK of output samples. */
  readonly #blockBytes: number;

  /**
   * @param plane its samples in a line, and bytes from one sample to the next (3: interleaved channels)
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

  /** Filters downwards: all source samples of output line `index` of the plane that begins at `plane`. */
  columns(kernels: Kernels, plane: number, index: number): void {
    const { starts, lengths, reach } = this.#down;
    const source = plane + starts[index]! * this.#stride + this.#first;
    const weights = this.#downWeights + index * reach * 2;
    kernels.filterColumns(source, this.#stride, lengths[index]!, weights, this.#line, this.#width);
  }

  /** Filters along the line that `columns` made, to `count` 16-bit samples of 1/64 level. */
  row(kernels: Kernels, channel: number, target: number): void {
    const source = this.#line + channel * 2;
    kernels.filterRow(source, this.#starts, this.#weights, this.#blockBytes, target, this.count);
  }
}
