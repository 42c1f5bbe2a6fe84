import { boxTaps } from '../pixels/filter.ts';
import { PIXEL_BLOCK, type PixelMemory } from '../pixels/kernels.ts';
import { Layout, PlaneFilter } from '../pixels/plane.ts';
import type { FrameFormat } from '../types.ts';

/** Cells across a frame; the number of rows makes them square. */
const COLUMNS = 160;

/** The brightness of a frame as a coarse grid: each cell is the average luma of its pixels (for RGB, the average green). */
export class LumaGrid {
  readonly width: number;
  readonly height: number;
  readonly #layout: Layout;
  readonly #filter: PlaneFilter;
  readonly #channel: number;
  readonly #cells: number;

  constructor(format: FrameFormat) {
    const { width, height } = format;
    this.width = Math.min(COLUMNS, width);
    this.height = Math.min(height, Math.max(1, Math.round((this.width * height) / width)));
    this.#layout = new Layout(format);
    const step = format.pixels === 'rgb24' ? 3 : 1;
    this.#channel = step === 3 ? 1 : 0;
    this.#filter = new PlaneFilter(
      this.#layout,
      { width, step },
      boxTaps({ size: width, from: 0, to: width, count: this.width }),
      boxTaps({ size: height, from: 0, to: height, count: this.height }),
    );
    // Rows are filtered in whole blocks: the excess is overwritten by the next row, or lies after the last one.
    this.#cells = this.#layout.area((this.width * this.height + PIXEL_BLOCK) * 2);
  }

  /** The grid of the frame at the beginning of the memory, in 1/64 level; valid until the memory is reused. */
  read(memory: PixelMemory): Int16Array {
    const { buffer } = this.#layout.prepare(memory);
    for (let y = 0; y < this.height; y++) {
      this.#filter.columns(memory.kernels, 0, y);
      this.#filter.row(memory.kernels, this.#channel, this.#cells + y * this.width * 2);
    }
    return new Int16Array(buffer, this.#cells, this.width * this.height);
  }
}
