/** Turns a fully quantised network into the float forms that TensorFlow's converter writes. */
import type { WrittenModel, WrittenOperator, WrittenTensor } from './tflite-writer.ts';

/** Type of the weights: float32, float16 with a DEQUANTIZE, or int8 while everything else is float32. */
export type Weights = 'float32' | 'float16' | 'int8';

export function withFloats(model: WrittenModel, weights: Weights): WrittenModel {
  const tensors = model.tensors.map((tensor): WrittenTensor => {
    const { name, shape, scales, data } = tensor;
    if (!scales) return tensor;
    if (!data) return { name, shape, type: 'float32' };
    if (weights === 'int8' && tensor.type === 'int8') return tensor;
    return { name, shape, type: 'float32', data: floatsOf(tensor) };
  });
  const operators: WrittenOperator[] = [];
  if (weights === 'float16') {
    for (const [index, tensor] of [...tensors.entries()]) {
      if (!(tensor.data instanceof Float32Array)) continue;
      const halves = new Uint8Array(Uint16Array.from(tensor.data, toHalf).buffer);
      tensors.push({ ...tensor, name: `${tensor.name}_half`, type: 'float16', data: halves });
      tensors[index] = { name: tensor.name, shape: tensor.shape, type: 'float32' };
      operators.push({ code: 'DEQUANTIZE', inputs: [tensors.length - 1], outputs: [index] });
    }
  }
  return { ...model, tensors, operators: [...operators, ...model.operators] };
}

function floatsOf({ data, shape, scales, zeroPoints, axis = 0 }: WrittenTensor): Float32Array {
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  return Float32Array.from(data as Int8Array, (int, index) => {
    const channel = scales!.length > 1 ? Math.floor(index / inner) % scales!.length : 0;
    return (int - (zeroPoints?.[channel] ?? 0)) * scales![channel]!;
  });
}

/** The nearest number of IEEE 754 binary16, as its bits. */
function toHalf(value: number): number {
  const sign = value < 0 ? 0x8000 : 0;
  const size = Math.abs(value);
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  // Small numbers have no leading 1; a fraction that rounds up to 1024 carries into the exponent.
  if (size < 2 ** -14) return sign | Math.round(size * 2 ** 24);
  return sign | (((exponent + 15) << 10) + Math.round((size / 2 ** exponent - 1) * 1024));
}
