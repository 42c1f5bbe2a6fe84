/** The numbers inside ONNX tensors. */
import { DataType, integer, type OnnxTensor } from './onnx.ts';

/** Bytes of one element, for the types whose elements may be raw. */
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

/** Dimensions as plain numbers; empty for a single number. */
export function tensorShape(tensor: OnnxTensor): number[] {
  return tensor.dims.map(integer);
}

/** Says what is wrong with a tensor whose raw bytes do not fill its shape, or null. */
export function tensorProblem(tensor: OnnxTensor): string | null {
  const bytes = ELEMENT_BYTES[tensor.dataType];
  if (!bytes || tensor.rawData.length === 0) return null;
  const shape = tensorShape(tensor);
  const expected = shape.reduce((product, size) => product * size, bytes);
  if (expected === tensor.rawData.length) return null;
  return `tensor ${tensor.name} of ${shape.join('×')} should have ${expected} bytes and has ${tensor.rawData.length}`;
}
