/** Reads a TensorFlow Lite file into plain objects (schema version 3). */
import { Table } from './flatbuffer.ts';
import { operatorName } from './operators.ts';

export type TensorType = 'float32' | 'float16' | 'int32' | 'uint8' | 'int64' | 'int16' | 'int8' | 'other';

const TENSOR_TYPES: Record<number, TensorType> = {
  0: 'float32',
  1: 'float16',
  2: 'int32',
  3: 'uint8',
  4: 'int64',
  7: 'int16',
  9: 'int8',
};

export const ELEMENT_BYTES: Record<TensorType, number> = {
  float32: 4,
  float16: 2,
  int32: 4,
  uint8: 1,
  int64: 8,
  int16: 2,
  int8: 1,
  other: 0,
};

export interface TfliteTensor {
  index: number;
  name: string;
  shape: number[];
  type: TensorType;
  /** float = (int − zeroPoint) × scale; one of each, or one for every channel along `axis`; empty if not quantised. */
  scales: number[];
  zeroPoints: number[];
  axis: number;
  /** Bytes of a constant, little-endian; null for a computed tensor. */
  data: Uint8Array | null;
  /** Whether only the weights other than 0 are stored. */
  sparse: boolean;
}

export interface TfliteOperator {
  name: string;
  /** Null for an omitted optional input. */
  inputs: (TfliteTensor | null)[];
  outputs: TfliteTensor[];
  options: Table | null;
  /** Options of a custom operator, in a form of its own. */
  custom: Uint8Array | null;
}

export interface TfliteModel {
  description: string;
  inputs: TfliteTensor[];
  outputs: TfliteTensor[];
  /** In topological order. */
  operators: TfliteOperator[];
  /** The embedded description of inputs and outputs (another FlatBuffer), if any. */
  metadata: Uint8Array | null;
}

const MAX_TENSORS = 20_000;

export function isTflite(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(4, 8)).toString('latin1') === 'TFL3';
}

/**
 * Reads the first subgraph of a file.
 * @throws Error if the bytes are not a valid TensorFlow Lite file
 */
export function readTflite(bytes: Uint8Array): TfliteModel {
  if (!isTflite(bytes)) throw new Error('the mark TFL3 is missing');
  const model = Table.root(bytes);
  const [subgraph] = model.tables(2);
  if (!subgraph) throw new Error('it contains no graph');
  const buffers = model.tables(4).map((buffer) => contentOf(buffer, bytes));
  const tables = subgraph.tables(0);
  if (tables.length > MAX_TENSORS)
    throw new Error(`it has ${tables.length} tensors, more than the limit of ${MAX_TENSORS}`);
  const tensors = tables.map((table, index) => readTensor(table, index, buffers));

  const tensor = (index: number): TfliteTensor => {
    const found = tensors[index];
    if (!found) throw new Error(`tensor ${index} does not exist`);
    return found;
  };
  const codes = model.tables(1).map((code) => ({
    // Codes over 127 are in the newer field 3.
    name: operatorName(Math.max(code.int8(0), code.int32(3)), code.text(1)),
  }));
  const operators = subgraph.tables(3).map((table): TfliteOperator => {
    const code = codes[table.uint32(0)];
    if (!code) throw new Error('an operator has no code');
    return {
      name: code.name,
      inputs: table.int32s(1).map((index) => (index === -1 ? null : tensor(index))),
      outputs: table.int32s(2).map(tensor),
      options: table.table(4),
      custom: table.bytes(5),
    };
  });
  return {
    description: model.text(3) ?? '',
    inputs: subgraph.int32s(1).map(tensor),
    outputs: subgraph.int32s(2).map(tensor),
    operators,
    metadata: readMetadata(model, buffers),
  };
}

/** Names of fused layers are lists; the first entry is enough. */
export function shortName(name: string): string {
  return name.split(';')[0] || name;
}

/** Bytes inside the FlatBuffer, or after it in files that may be larger than 2 GB. */
function contentOf(buffer: Table, file: Uint8Array): Uint8Array | null {
  const [start, size] = [buffer.uint64(1), buffer.uint64(2)];
  // Writers use a start of 1 as a placeholder.
  if (start <= 1) return buffer.bytes(0);
  if (start + size > file.length) throw new RangeError('weights are stored beyond the end of the file');
  return file.subarray(start, start + size);
}

function readTensor(table: Table, index: number, buffers: (Uint8Array | null)[]): TfliteTensor {
  const quantization = table.table(4);
  const type = TENSOR_TYPES[table.int8(1)] ?? 'other';
  const shape = table.int32s(0);
  const name = table.text(3) || `tensor ${index}`;
  const data = buffers[table.uint32(2)] ?? null;
  const elements = shape.reduce((product, size) => product * size, 1);
  const sparse = table.has(6);
  if (data?.length && !sparse && data.length !== elements * ELEMENT_BYTES[type]) {
    throw new Error(`${name} of ${shape.join('×')} ${type} has ${data.length} bytes`);
  }
  return {
    index,
    name,
    shape,
    type,
    scales: quantization?.float32s(2) ?? [],
    zeroPoints: quantization?.int64s(3) ?? [],
    axis: quantization?.int32(6) ?? 0,
    data: data?.length ? data : null,
    sparse,
  };
}

function readMetadata(model: Table, buffers: (Uint8Array | null)[]): Uint8Array | null {
  const entry = model.tables(6).find((metadata) => metadata.text(0) === 'TFLITE_METADATA');
  return entry ? (buffers[entry.uint32(1)] ?? null) : null;
}
