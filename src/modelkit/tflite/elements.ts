/** Reads the elements of constants. */
import type { TfliteTensor } from './read-tflite.ts';

export type Elements = Int8Array | Uint8Array | Int32Array | BigInt64Array | Float32Array;

const ARRAYS: Partial<
  Record<TfliteTensor['type'], { new (buffer: ArrayBuffer): Elements; BYTES_PER_ELEMENT: number }>
> = {
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float32: Float32Array,
};

/** The elements of a constant, or null for computed tensors and other types. */
export function elements({ data, type }: TfliteTensor): Elements | null {
  const Elements = ARRAYS[type];
  if (!data || !Elements) return null;
  // Copied, because the bytes may be unaligned in the file.
  return new Elements(new Uint8Array(data).buffer);
}

/**
 * A constant as floats: from float32, float16, or 8-bit integers with their scale. Null for others.
 */
export function floats(tensor: TfliteTensor): Float32Array | null {
  const { data, type, shape, scales, zeroPoints, axis } = tensor;
  if (data && type === 'float16') {
    const halves = new Uint16Array(new Uint8Array(data).buffer);
    return Float32Array.from(halves, halfToFloat);
  }
  const found = elements(tensor);
  if (found instanceof Float32Array) return found;
  if (!(found instanceof Int8Array || found instanceof Uint8Array) || scales.length === 0) return null;
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  return Float32Array.from(found, (int, index) => {
    const channel = scales.length > 1 ? Math.floor(index / inner) % scales.length : 0;
    return (int - (zeroPoints[channel] ?? zeroPoints[0] ?? 0)) * scales[channel]!;
  });
}

/** IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The elements of an int32 or int64 constant as numbers; empty for any other. */
export function ints(tensor: TfliteTensor): number[] {
  const found = elements(tensor);
  return found instanceof Int32Array || found instanceof BigInt64Array ? Array.from(found, Number) : [];
}

/** The elements with permuted axes: axis i of the result is axis `axes[i]` of `shape`. */
export function permuted<T extends Elements>(data: T, shape: readonly number[], axes: readonly number[]): T {
  const steps = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const result = data.slice() as T;
  const at = new Array<number>(axes.length).fill(0);
  for (let to = 0; to < result.length; to++) {
    result[to] = data[axes.reduce((sum, axis, index) => sum + at[index]! * steps[axis]!, 0)]!;
    for (let index = axes.length - 1; index >= 0; index--) {
      if (++at[index]! < shape[axes[index]!]!) break;
      at[index] = 0;
    }
  }
  return result;
}
