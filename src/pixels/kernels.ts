/**
 * The inner loops over pixels, as WebAssembly SIMD: V8 does not vectorise JavaScript, and these loops
 * determine how many frames a small board can analyse (plain JavaScript is about four times slower).
 *
 * Numbers are fixed-point: bytes become 16-bit lanes of 1/128 level after the first filter pass, of 1/64 level
 * after the second.
 */
import { assemble, type Code, i16x8, i32, i32x4, Kernel, repeatWhile, type Variable, v128 } from './wasm.ts';

/** Columns that `filterColumns` handles at once: widths are rounded up to this many. */
export const COLUMN_BLOCK = 32;
/** Taps that `filterRow` handles at once. */
export const TAP_BLOCK = 8;
/** Values that `filterRow` yields at once. */
export const ROW_BLOCK = 4;
/** Pixels that the colour kernels handle at once. */
export const PIXEL_BLOCK = 8;
/** Sum of the weights of one output value in each pass. */
export const COLUMN_UNIT = 32767;
export const ROW_UNIT = 16384;
/** One level, 1 of 0…255, after both passes. */
export const LEVEL = 64;
/** A gain of 1 in the matrix of `yuvToRgb`. */
export const GAIN_UNIT = 8192;

type Four<T> = [T, T, T, T];

/** target[x] = Σ source[x + tap × stride] × weights[tap], for bytes x of one row. */
const filterColumns = new Kernel(6, (kernel, source, stride, taps, weights, target, width) => {
  const sums = [0, 1, 2, 3].map(() => kernel.local('v128'));
  const pixel = kernel.local('i32');
  const weight = kernel.local('i32');
  const factor = kernel.local('v128');
  const rowEnd = kernel.local('i32');
  const weightEnd = kernel.local('i32');
  return [
    rowEnd.set(i32.add(source.get, width.get)),
    weightEnd.set(i32.add(weights.get, i32.add(taps.get, taps.get))),
    repeatWhile(i32.less(source.get, rowEnd.get), [
      ...sums.map((sum) => sum.set(v128.zero)),
      pixel.set(source.get),
      weight.set(weights.get),
      repeatWhile(i32.less(weight.get, weightEnd.get), [
        factor.set(v128.load16Splat(weight.get)),
        ...sums.map((sum, index) => {
          const bytes = v128.load8x8(pixel.get, index * 8);
          const levels = i16x8.shiftLeft(bytes, i32.const(7));
          return sum.set(i16x8.add(sum.get, i16x8.multiplyQ15(levels, factor.get)));
        }),
        pixel.advance(stride.get),
        weight.advance(2),
      ]),
      ...sums.map((sum, index) => v128.store(target.get, index * 16, sum.get)),
      source.advance(COLUMN_BLOCK),
      target.advance(COLUMN_BLOCK * 2),
    ]),
  ];
});

/**
 * target[n] = Σ source[starts[n] + tap] × weights[n][tap]. `starts` are byte offsets; weights are stored as
 * [n / 4][tap / 8][n % 4][tap % 8].
 */
const filterRow = new Kernel(6, (kernel, source, starts, weights, blocks, target, count) => {
  const [a, b, c, d] = [0, 1, 2, 3].map(() => kernel.local('v128')) as Four<Variable>;
  const sums = [a, b, c, d];
  const pixels = [0, 1, 2, 3].map(() => kernel.local('i32'));
  const end = kernel.local('i32');
  const weightEnd = kernel.local('i32');
  const pairs = (first: Code, second: Code) =>
    i32x4.add(v128.pick([0, 2, 4, 6], first, second), v128.pick([1, 3, 5, 7], first, second));
  const rounding = i32x4.splat(i32.const(1 << 14));
  return [
    end.set(i32.add(target.get, i32.add(count.get, count.get))),
    repeatWhile(i32.less(target.get, end.get), [
      ...sums.map((sum) => sum.set(v128.zero)),
      ...pixels.map((pixel, index) => pixel.set(i32.add(source.get, i32.load(starts.get, index * 4)))),
      weightEnd.set(i32.add(weights.get, blocks.get)),
      repeatWhile(i32.less(weights.get, weightEnd.get), [
        ...sums.map((sum, index) => {
          const product = i32x4.dot(v128.load(pixels[index]!.get), v128.load(weights.get, index * 16));
          return sum.set(i32x4.add(sum.get, product));
        }),
        ...pixels.map((pixel) => pixel.advance(TAP_BLOCK * 2)),
        weights.advance(ROW_BLOCK * TAP_BLOCK * 2),
      ]),
      a.set(pairs(pairs(a.get, b.get), pairs(c.get, d.get))),
      a.set(i32x4.shiftRight(i32x4.add(a.get, rounding), i32.const(15))),
      v128.storeLow(target.get, 0, i16x8.narrow(a.get, a.get)),
      target.advance(ROW_BLOCK * 2),
      starts.advance(ROW_BLOCK * 4),
    ]),
  ];
});

/**
 * Y, U, V → red, green, blue: rows of 1/64 level → rows of bytes.
 * `matrix` points to 16-bit numbers: black level, then the gains of luma, red of V, green of U, green of V and blue
 * of U in units of GAIN_UNIT, which make results of 1/16 level.
 */
const yuvToRgb = new Kernel(8, (kernel, y, u, v, matrix, red, green, blue, count) => {
  const [luma, uLevel, vLevel] = [kernel.local('v128'), kernel.local('v128'), kernel.local('v128')];
  const end = kernel.local('i32');
  const constants = [0, 1, 2, 3, 4, 5].map(() => kernel.local('v128'));
  const gain = (index: number) => constants[index]!.get;
  const middle = i16x8.splat(i32.const(128 * LEVEL));
  const put = (target: Code, sixteenths: Code) => {
    const levels = i16x8.shiftRight(sixteenths, i32.const(4));
    return v128.storeLow(target, 0, i16x8.narrowToBytes(levels, levels));
  };
  const blueSum = i16x8.add(luma.get, i16x8.multiplyQ15(uLevel.get, gain(5)));
  const redSum = i16x8.add(luma.get, i16x8.multiplyQ15(vLevel.get, gain(2)));
  const greenSum = i16x8.add(
    i16x8.add(luma.get, i16x8.multiplyQ15(uLevel.get, gain(3))),
    i16x8.multiplyQ15(vLevel.get, gain(4)),
  );
  return [
    end.set(i32.add(red.get, count.get)),
    ...constants.map((constant, index) => constant.set(v128.load16Splat(matrix.get, index * 2))),
    repeatWhile(i32.less(red.get, end.get), [
      luma.set(i16x8.multiplyQ15(i16x8.sub(v128.load(y.get), gain(0)), gain(1))),
      luma.set(i16x8.add(luma.get, i16x8.splat(i32.const(8)))),
      uLevel.set(i16x8.sub(v128.load(u.get), middle)),
      vLevel.set(i16x8.sub(v128.load(v.get), middle)),
      put(red.get, redSum),
      put(green.get, greenSum),
      put(blue.get, blueSum),
      ...[y, u, v].map((row) => row.advance(PIXEL_BLOCK * 2)),
      ...[red, green, blue].map((row) => row.advance(PIXEL_BLOCK)),
    ]),
  ];
});

/**
 * Red, green, blue → luma by the weights of ITU-R BT.601, in 65536ths like in Pillow: rows of 1/64 level → a row of
 * bytes. The weight of green does not fit into 16 bits and is split into two halves.
 */
const rgbToLuma = new Kernel(5, (kernel, red, green, blue, target, count) => {
  const end = kernel.local('i32');
  const [r, g, b, luma] = [0, 1, 2, 3].map(() => kernel.local('v128')) as Four<Variable>;
  const pair = (first: number, second: number) => i32x4.splat(i32.const(first | (second << 16)));
  const sum = (half: 'lower' | 'upper') => {
    const weighted = i32x4.add(
      i32x4.dot(v128.zip(half, r.get, g.get), pair(19595, 38470 / 2)),
      i32x4.dot(v128.zip(half, b.get, g.get), pair(7471, 38470 / 2)),
    );
    return i32x4.shiftRight(i32x4.add(weighted, i32x4.splat(i32.const(1 << 21))), i32.const(22));
  };
  return [
    end.set(i32.add(target.get, count.get)),
    repeatWhile(i32.less(target.get, end.get), [
      r.set(v128.load(red.get)),
      g.set(v128.load(green.get)),
      b.set(v128.load(blue.get)),
      luma.set(i16x8.narrow(sum('lower'), sum('upper'))),
      v128.storeLow(target.get, 0, i16x8.narrowToBytes(luma.get, luma.get)),
      ...[red, green, blue].map((row) => row.advance(PIXEL_BLOCK * 2)),
      target.advance(PIXEL_BLOCK),
    ]),
  ];
});

/** Rounds a row of 1/64 level to bytes. */
const roundRow = new Kernel(3, (kernel, source, target, count) => {
  const end = kernel.local('i32');
  const levels = kernel.local('v128');
  return [
    end.set(i32.add(target.get, count.get)),
    repeatWhile(i32.less(target.get, end.get), [
      levels.set(i16x8.add(v128.load(source.get), i16x8.splat(i32.const(LEVEL / 2)))),
      levels.set(i16x8.shiftRight(levels.get, i32.const(6))),
      v128.storeLow(target.get, 0, i16x8.narrowToBytes(levels.get, levels.get)),
      source.advance(PIXEL_BLOCK * 2),
      target.advance(PIXEL_BLOCK),
    ]),
  ];
});

/** Writes table[byte] for each byte of a row, `step` bytes apart. */
const scatterBytes = new Kernel(5, (kernel, source, table, target, step, count) => {
  const end = kernel.local('i32');
  return [
    end.set(i32.add(source.get, count.get)),
    repeatWhile(i32.less(source.get, end.get), [
      i32.store8(target.get, 0, i32.load8(i32.add(table.get, i32.load8(source.get)))),
      target.advance(step.get),
      source.advance(1),
    ]),
  ];
});

/** The same for tables of 32-bit elements. */
const scatterWords = new Kernel(5, (kernel, source, table, target, step, count) => {
  const end = kernel.local('i32');
  const index = kernel.local('i32');
  return [
    end.set(i32.add(source.get, count.get)),
    repeatWhile(i32.less(source.get, end.get), [
      index.set(i32.load8(source.get)),
      i32.store(target.get, 0, i32.load(i32.add(table.get, i32.shiftLeft(index.get, i32.const(2))))),
      target.advance(step.get),
      source.advance(1),
    ]),
  ];
});

type Row = number;

/** The kernels, bound to one memory. Every argument is a byte address in it or a plain number. */
export interface Kernels {
  filterColumns(source: Row, stride: number, taps: number, weights: Row, target: Row, width: number): void;
  filterRow(source: Row, starts: Row, weights: Row, blocks: number, target: Row, count: number): void;
  yuvToRgb(y: Row, u: Row, v: Row, matrix: Row, red: Row, green: Row, blue: Row, count: number): void;
  rgbToLuma(red: Row, green: Row, blue: Row, target: Row, count: number): void;
  roundRow(source: Row, target: Row, count: number): void;
  scatterBytes(source: Row, table: Row, target: Row, step: number, count: number): void;
  scatterWords(source: Row, table: Row, target: Row, step: number, count: number): void;
}

/** The part of the WebAssembly API that is used here; the type libraries declare it only for browsers. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number }) => WasmMemory;
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
};
interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

const PAGE = 65536;
let module: object | undefined;

/** The kernels and the memory that they work in. */
export class PixelMemory {
  readonly kernels: Kernels;
  readonly #memory = new WebAssembly.Memory({ initial: 1 });
  #bytes = new Uint8Array(this.#memory.buffer);

  constructor() {
    module ??= new WebAssembly.Module(
      assemble({ filterColumns, filterRow, yuvToRgb, rgbToLuma, roundRow, scatterBytes, scatterWords }),
    );
    const instance = new WebAssembly.Instance(module, { host: { memory: this.#memory } });
    this.kernels = instance.exports as Kernels;
  }

  /** The entire memory, at least `size` bytes. Growing replaces it: do not keep the view. */
  bytes(size = 0): Uint8Array<ArrayBuffer> {
    if (size > this.#bytes.length) {
      this.#memory.grow(Math.ceil((size - this.#bytes.length) / PAGE));
      this.#bytes = new Uint8Array(this.#memory.buffer);
    }
    return this.#bytes;
  }
}
