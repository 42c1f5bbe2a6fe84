/** The numbers of constants. */
import type { TfliteTensor } from './read.ts';

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

/** The elements of a constant, or null for what is computed and for other types. */
export function elements({ data, type }: TfliteTensor): Elements | null {
  const Elements = ARRAYS[type];
  if (!data || !Elements) return null;
  // The bytes may begin anywhere in the file.
  return new Elements(new Uint8Array(data).buffer);
}

/** The elements of a constant of int32 or int64 as numbers; none for any other. */
export function wholes(tensor: TfliteTensor): number[] {
  const found = elements(tensor);
  return found instanceof Int32Array || found instanceof BigInt64Array ? Array.from(found, Number) : [];
}

/** The elements in another order of the axes: axis i of the result is axis `axes[i]` of `shape`. */
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
