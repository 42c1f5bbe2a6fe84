/**
 * ONNX files as plain objects: reads and writes the protocol buffers of the ONNX specification
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, IR version 10) through protobufjs.
 *
 * The schema below covers the messages that Lookout reads. Everything else in a file (training information,
 * functions, sparse tensors) is kept and written back unchanged.
 */
import protobuf from 'protobufjs/light.js';

/** A 64-bit integer as protobufjs returns it; `integer` converts it to a number. */
export type Int64 = number | { toNumber(): number };

/** TensorProto.DataType, as far as Lookout needs it. */
export const DataType = {
  float: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
} as const;

/** AttributeProto.AttributeType, as far as Lookout writes it. */
export const AttributeType = { float: 1, int: 2, string: 3, floats: 6, ints: 7 } as const;

export interface OnnxTensor {
  name: string;
  dims: Int64[];
  dataType: number;
  /** Little-endian elements; empty when they are in one of the typed lists. */
  rawData: Uint8Array;
  floatData: number[];
  int32Data: number[];
  int64Data: Int64[];
  doubleData: number[];
  /** 1: the elements are in another file. */
  dataLocation: number;
  /** Their place in that file: `location`, `offset` and `length`. */
  externalData?: { key: string; value: string }[];
}

export interface OnnxAttribute {
  name: string;
  type: number;
  f?: number;
  i?: Int64;
  s?: Uint8Array;
  t?: OnnxTensor;
  floats?: number[];
  ints?: Int64[];
}

export interface OnnxNode {
  name: string;
  opType: string;
  domain?: string;
  input: string[];
  output: string[];
  attribute: OnnxAttribute[];
}

/** A dimension is a number, a symbol ("batch") or unknown (neither). */
export interface OnnxDimension {
  dimValue?: Int64;
  dimParam?: string;
}

export interface OnnxValue {
  name: string;
  type?: { tensorType?: { elemType: number; shape?: { dim: OnnxDimension[] } } };
}

export interface OnnxGraph {
  name: string;
  node: OnnxNode[];
  initializer: OnnxTensor[];
  input: OnnxValue[];
  output: OnnxValue[];
  valueInfo: OnnxValue[];
}

export interface OnnxModel {
  irVersion: Int64;
  producerName: string;
  producerVersion: string;
  docString: string;
  graph: OnnxGraph;
  opsetImport: { domain: string; version: Int64 }[];
  metadataProps: { key: string; value: string }[];
}

const many = (type: string, id: number, packed = false) => ({
  rule: 'repeated' as const,
  type,
  id,
  options: { packed },
});

const messages: Record<string, Record<string, protobuf.IField>> = {
  Model: {
    irVersion: { type: 'int64', id: 1 },
    producerName: { type: 'string', id: 2 },
    producerVersion: { type: 'string', id: 3 },
    docString: { type: 'string', id: 6 },
    graph: { type: 'Graph', id: 7 },
    opsetImport: many('OperatorSet', 8),
    metadataProps: many('Entry', 14),
  },
  OperatorSet: { domain: { type: 'string', id: 1 }, version: { type: 'int64', id: 2 } },
  Entry: { key: { type: 'string', id: 1 }, value: { type: 'string', id: 2 } },
  Graph: {
    node: many('Node', 1),
    name: { type: 'string', id: 2 },
    initializer: many('Tensor', 5),
    input: many('Value', 11),
    output: many('Value', 12),
    valueInfo: many('Value', 13),
  },
  Node: {
    input: many('string', 1),
    output: many('string', 2),
    name: { type: 'string', id: 3 },
    opType: { type: 'string', id: 4 },
    attribute: many('Attribute', 5),
    domain: { type: 'string', id: 7 },
  },
  Attribute: {
    name: { type: 'string', id: 1 },
    f: { type: 'float', id: 2 },
    i: { type: 'int64', id: 3 },
    s: { type: 'bytes', id: 4 },
    t: { type: 'Tensor', id: 5 },
    floats: many('float', 7),
    ints: many('int64', 8),
    type: { type: 'int32', id: 20 },
  },
  Tensor: {
    dims: many('int64', 1),
    dataType: { type: 'int32', id: 2 },
    floatData: many('float', 4, true),
    int32Data: many('int32', 5, true),
    int64Data: many('int64', 7, true),
    name: { type: 'string', id: 8 },
    rawData: { type: 'bytes', id: 9 },
    doubleData: many('double', 10, true),
    externalData: many('Entry', 13),
    dataLocation: { type: 'int32', id: 14 },
  },
  Value: { name: { type: 'string', id: 1 }, type: { type: 'ValueType', id: 2 } },
  ValueType: { tensorType: { type: 'TensorType', id: 1 } },
  TensorType: { elemType: { type: 'int32', id: 1 }, shape: { type: 'Shape', id: 2 } },
  Shape: { dim: many('Dimension', 1) },
  Dimension: { dimValue: { type: 'int64', id: 1 }, dimParam: { type: 'string', id: 2 } },
};

const modelType = protobuf.Root.fromJSON({
  nested: Object.fromEntries(
    Object.entries(messages).map(([name, fields]) => [name, { edition: 'proto2', fields }]),
  ),
}).lookupType('Model');

/**
 * Reads an ONNX file.
 * @throws Error if the bytes are not an ONNX model: damaged protocol buffers, or no graph
 */
export function decodeModel(bytes: Uint8Array): OnnxModel {
  const reader = protobuf.Reader.create(bytes);
  reader.discardUnknown = false;
  const model = modelType.decode(reader) as unknown as OnnxModel;
  if (!model.graph?.node?.length) throw new Error('it contains no graph');
  return model;
}

/** Writes an ONNX file: the inverse of `decodeModel`. Absent fields of hand-made objects may be left out. */
export function encodeModel(model: OnnxModel): Uint8Array {
  return modelType.encode(model as unknown as { [key: string]: unknown }).finish();
}

/** A 64-bit integer as a number; those beyond 2^53 lose their last digits. */
export function integer(value: Int64): number {
  return typeof value === 'number' ? value : value.toNumber();
}

/** The metadata entry `key`, or undefined. */
export function metadata(model: OnnxModel, key: string): string | undefined {
  return model.metadataProps.find((entry) => entry.key === key)?.value;
}

/** Adds or replaces the metadata entry `key`. */
export function setMetadata(model: OnnxModel, key: string, value: string): void {
  model.metadataProps = [...model.metadataProps.filter((entry) => entry.key !== key), { key, value }];
}
