/** Reads and checks the elements of ONNX tensors. */

import { DataType, integer, type OnnxTensor } from './onnx.ts';
import type { TensorData } from './onnx-graph.ts';

/** Bytes of one element, for types whose elements may be raw. */
const ELEMENT_BYTES: Record<number, number> = {
  [DataType.float]: 4,
  [DataType.uint8]: 1,
  [DataType.int8]: 1,
  [DataType.int32]: 4,
  [DataType.int64]: 8,
  [DataType.bool]: 1,
  [DataType.float16]: 2,
  [DataType.double]: 8,
};

/** Dimensions as numbers; empty for a scalar. */
export function tensorShape(tensor: OnnxTensor): number[] {
  return tensor.dims.map(integer);
}

/** Describes the problem if a tensor's raw bytes do not fit its shape; else null. */
export function tensorProblem(tensor: OnnxTensor): string | null {
  const bytes = ELEMENT_BYTES[tensor.dataType];
  if (!bytes || tensor.rawData.length === 0) return null;
  const shape = tensorShape(tensor);
  const expected = shape.reduce((product, size) => product * size, bytes);
  if (expected === tensor.rawData.length) return null;
  return `tensor ${tensor.name} of ${shape.join('×')} should have ${expected} bytes and has ${tensor.rawData.length}`;
}

/**
 * The elements of a float, int8, uint8, int32 or int64 tensor, raw or in a typed list.
 * @throws Error for other types and for elements in another file
 */
export function tensorData(tensor: OnnxTensor): TensorData {
  const { rawData, name } = tensor;
  if (tensor.dataLocation === 1) throw new Error(`the data of tensor ${name} is in another file`);
  const raw = rawData.length > 0 ? new Uint8Array(rawData).buffer : null;
  switch (tensor.dataType) {
    case DataType.float:
      return raw ? new Float32Array(raw) : Float32Array.from(tensor.floatData);
    case DataType.int8:
      return raw ? new Int8Array(raw) : Int8Array.from(tensor.int32Data);
    case DataType.uint8:
      return raw ? new Uint8Array(raw) : Uint8Array.from(tensor.int32Data);
    case DataType.int32:
      return raw ? new Int32Array(raw) : Int32Array.from(tensor.int32Data);
    case DataType.int64:
      return raw ? new BigInt64Array(raw) : BigInt64Array.from(tensor.int64Data, (v) => BigInt(integer(v)));
    default:
      throw new Error(`tensor ${name} has the element type ${tensor.dataType}, which is not supported`);
  }
}
