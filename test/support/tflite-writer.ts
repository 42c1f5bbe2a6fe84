/** Writes TensorFlow Lite files with the reference FlatBuffers library. */
import { Builder, type Offset } from 'flatbuffers';

export interface WrittenTensor {
  name: string;
  shape: number[];
  type: keyof typeof TYPES;
  scales?: number[];
  zeroPoints?: number[];
  axis?: number;
  data?: Uint8Array | Int8Array | Int32Array | BigInt64Array | Float32Array;
  sparse?: boolean;
  /** Sizes as they were before they were fixed, −1 for any. */
  signature?: number[];
}

/** A field of an options table: its number, its kind and its value. */
export type Option = [field: number, kind: 'int8' | 'int32' | 'float32', value: number];

export interface WrittenOperator {
  code: keyof typeof CODES | number;
  /** Indices of tensors; −1 for an input that is left out. */
  inputs: number[];
  outputs: number[];
  options?: Option[];
  /** Name and options of a custom operator, whose code is 32. */
  custom?: { name: string; options: Uint8Array };
}

export interface WrittenModel {
  tensors: WrittenTensor[];
  operators: WrittenOperator[];
  inputs: number[];
  outputs: number[];
}

const TYPES = { float32: 0, float16: 1, int32: 2, uint8: 3, int64: 4, int16: 7, int8: 9 } as const;

const CODES = {
  ADD: 0,
  AVERAGE_POOL_2D: 1,
  CONCATENATION: 2,
  CONV_2D: 3,
  DEPTHWISE_CONV_2D: 4,
  DEQUANTIZE: 6,
  FULLY_CONNECTED: 9,
  L2_NORMALIZATION: 11,
  LOGISTIC: 14,
  RESIZE_BILINEAR: 23,
  CUSTOM: 32,
  TILE: 69,
  MAX_POOL_2D: 17,
  MUL: 18,
  RELU: 19,
  RELU_N1_TO_1: 20,
  RELU6: 21,
  RESHAPE: 22,
  SOFTMAX: 25,
  SPACE_TO_DEPTH: 26,
  TANH: 28,
  PAD: 34,
  GATHER: 36,
  TRANSPOSE: 39,
  MEAN: 40,
  SUB: 41,
  DIV: 42,
  SQUEEZE: 43,
  STRIDED_SLICE: 45,
  EXP: 47,
  SPLIT: 49,
  LOG_SOFTMAX: 50,
  PRELU: 54,
  MAXIMUM: 55,
  MINIMUM: 57,
  NEG: 59,
  PADV2: 60,
  SLICE: 65,
  EXPAND_DIMS: 70,
  SUM: 74,
  SQRT: 75,
  RSQRT: 76,
  SHAPE: 77,
  REDUCE_MAX: 82,
  PACK: 83,
  UNPACK: 88,
  SQUARE: 92,
  LEAKY_RELU: 98,
  SQUARED_DIFFERENCE: 99,
  ABS: 101,
  SPLIT_V: 102,
  REVERSE_V2: 105,
  ELU: 111,
  QUANTIZE: 114,
  HARD_SWISH: 117,
  BATCH_MATMUL: 126,
  GELU: 150,
  RELU_0_TO_1: 152,
} as const;

/** Which table of options an operator has (BuiltinOptions of the schema). */
const OPTIONS: Partial<Record<WrittenOperator['code'], number>> = {
  CONV_2D: 1,
  DEPTHWISE_CONV_2D: 2,
  AVERAGE_POOL_2D: 5,
  MAX_POOL_2D: 5,
  FULLY_CONNECTED: 8,
  SOFTMAX: 9,
  CONCATENATION: 10,
  ADD: 11,
  RESIZE_BILINEAR: 15,
  SPACE_TO_DEPTH: 19,
  MUL: 21,
  GATHER: 23,
  MEAN: 27,
  SUM: 27,
  REDUCE_MAX: 27,
  SUB: 28,
  DIV: 29,
  STRIDED_SLICE: 32,
  SPLIT: 35,
  PACK: 59,
  UNPACK: 64,
  LEAKY_RELU: 75,
  SPLIT_V: 79,
  BATCH_MATMUL: 101,
  GELU: 116,
};

export function writeTflite(model: WrittenModel): Uint8Array {
  return write(model, (b, data) => {
    b.startVector(1, data.length, 16);
    for (const byte of data.toReversed()) b.addInt8(byte);
    const vector = b.endVector();
    b.startObject(1);
    b.addFieldOffset(0, vector, 0);
    return b.endObject();
  });
}

/** As `writeTflite`, with the constants behind the FlatBuffer, as models of more than 2 GB have them. */
export function writeTfliteOutside(model: WrittenModel): Uint8Array {
  const pieces: Uint8Array[] = [];
  const attempt = (base: number) => {
    pieces.length = 0;
    let start = base;
    return write(model, (b, data) => {
      b.startObject(3);
      b.addFieldInt64(1, BigInt(start), 0n);
      b.addFieldInt64(2, BigInt(data.length), 0n);
      start += data.length;
      pieces.push(data);
      return b.endObject();
    });
  };
  // The length does not depend on where the constants are.
  return Buffer.concat([attempt(attempt(2).length), ...pieces]);
}

function write(model: WrittenModel, buffer: (b: Builder, data: Uint8Array) => Offset): Uint8Array {
  const b = new Builder(1024);
  const buffers = [
    emptyTable(b),
    ...model.tensors
      .filter(({ data }) => data)
      .map(({ data }) => buffer(b, new Uint8Array(data!.buffer, data!.byteOffset, data!.byteLength))),
  ];
  let next = 1;
  const tensors = model.tensors.map((tensor) => writeTensor(b, tensor, tensor.data ? next++ : 0));
  const codes = model.operators.map(({ code, custom }) => {
    const name = custom ? b.createString(custom.name) : 0;
    const number = typeof code === 'number' ? code : CODES[code];
    b.startObject(4);
    b.addFieldInt8(0, Math.min(127, number), 0);
    b.addFieldInt32(3, number, 0);
    if (name) b.addFieldOffset(1, name, 0);
    return b.endObject();
  });
  const operators = model.operators.map((operator, index) => writeOperator(b, operator, index));
  const vectors = [
    offsets(b, tensors),
    int32s(b, model.inputs),
    int32s(b, model.outputs),
    offsets(b, operators),
  ];
  b.startObject(5);
  vectors.forEach((vector, field) => {
    b.addFieldOffset(field, vector, 0);
  });
  const subgraphs = offsets(b, [b.endObject()]);
  const codeVector = offsets(b, codes);
  const bufferVector = offsets(b, buffers);
  const description = b.createString('made for a test');
  b.startObject(8);
  b.addFieldInt32(0, 3, 0);
  b.addFieldOffset(1, codeVector, 0);
  b.addFieldOffset(2, subgraphs, 0);
  b.addFieldOffset(3, description, 0);
  b.addFieldOffset(4, bufferVector, 0);
  b.finish(b.endObject(), 'TFL3');
  return b.asUint8Array().slice();
}

function writeTensor(b: Builder, tensor: WrittenTensor, bufferIndex: number): Offset {
  const name = b.createString(tensor.name);
  const shape = int32s(b, tensor.shape);
  const scales = tensor.scales?.length ? float32s(b, tensor.scales) : 0;
  const zeroPoints = tensor.zeroPoints?.length ? int64s(b, tensor.zeroPoints) : 0;
  let quantization = 0;
  if (scales) {
    b.startObject(7);
    b.addFieldOffset(2, scales, 0);
    b.addFieldOffset(3, zeroPoints, 0);
    b.addFieldInt32(6, tensor.axis ?? 0, 0);
    quantization = b.endObject();
  }
  const sparsity = tensor.sparse ? emptyTable(b) : 0;
  const signature = tensor.signature ? int32s(b, tensor.signature) : 0;
  b.startObject(8);
  b.addFieldOffset(0, shape, 0);
  b.addFieldInt8(1, TYPES[tensor.type], 0);
  b.addFieldInt32(2, bufferIndex, 0);
  b.addFieldOffset(3, name, 0);
  b.addFieldOffset(4, quantization, 0);
  b.addFieldOffset(6, sparsity, 0);
  b.addFieldOffset(7, signature, 0);
  return b.endObject();
}

function writeOperator(
  b: Builder,
  { code, inputs, outputs, options, custom }: WrittenOperator,
  codeIndex: number,
): Offset {
  const inputVector = int32s(b, inputs);
  const outputVector = int32s(b, outputs);
  let table = 0;
  if (options) {
    b.startObject(8);
    for (const [field, kind, value] of options) {
      if (kind === 'int8') b.addFieldInt8(field, value, 0);
      else if (kind === 'int32') b.addFieldInt32(field, value, 0);
      else b.addFieldFloat32(field, value, 0);
    }
    table = b.endObject();
  }
  let customOptions = 0;
  if (custom) {
    b.startVector(1, custom.options.length, 1);
    for (const byte of custom.options.toReversed()) b.addInt8(byte);
    customOptions = b.endVector();
  }
  b.startObject(6);
  b.addFieldInt32(0, codeIndex, 0);
  b.addFieldOffset(1, inputVector, 0);
  b.addFieldOffset(2, outputVector, 0);
  b.addFieldInt8(3, table ? (OPTIONS[code] ?? 0) : 0, 0);
  b.addFieldOffset(4, table, 0);
  b.addFieldOffset(5, customOptions, 0);
  return b.endObject();
}

function emptyTable(b: Builder): Offset {
  b.startObject(1);
  return b.endObject();
}

function int32s(b: Builder, values: number[]): Offset {
  b.startVector(4, values.length, 4);
  for (const value of values.toReversed()) b.addInt32(value);
  return b.endVector();
}

function float32s(b: Builder, values: number[]): Offset {
  b.startVector(4, values.length, 4);
  for (const value of values.toReversed()) b.addFloat32(value);
  return b.endVector();
}

function int64s(b: Builder, values: number[]): Offset {
  b.startVector(8, values.length, 8);
  for (const value of values.toReversed()) b.addInt64(BigInt(value));
  return b.endVector();
}

function offsets(b: Builder, values: Offset[]): Offset {
  b.startVector(4, values.length, 4);
  for (const value of values.toReversed()) b.addOffset(value);
  return b.endVector();
}
