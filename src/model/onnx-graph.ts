/** Builds ONNX graphs node by node. */
import { VERSION } from '../version.ts';
import {
  AttributeType,
  DataType,
  type OnnxAttribute,
  type OnnxDimension,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from './onnx.ts';

/** Opset of the built graphs: the first in which QuantizeLinear and DequantizeLinear support channels. */
export const OPSET = 13;
const IR_VERSION = 8;

export type TensorData = Float32Array | Int8Array | Uint8Array | Int32Array | BigInt64Array;

/** An integer, a list of integers, a string, or `{ float }`. */
export type AttributeValue = number | readonly number[] | string | { float: number };

/** float = (int − zeroPoint) × scale. */
export interface Quantization {
  scale: number;
  zeroPoint: number;
  type: 'uint8' | 'int8';
}

export class GraphBuilder {
  readonly #name: string;
  readonly #nodes: OnnxNode[] = [];
  readonly #constants: OnnxTensor[] = [];
  readonly #inputs: OnnxValue[] = [];
  readonly #outputs: OnnxValue[] = [];
  readonly #names = new Set<string>();

  constructor(name: string) {
    this.#name = name;
  }

  /** Declares an input. @returns its name */
  input(name: string, type: 'uint8' | 'int8' | 'float', shape: readonly (number | string)[]): string {
    this.#inputs.push(valueInfo(this.#claim(name), DataType[type], shape));
    return name;
  }

  /** Makes the float tensor `name` an output. */
  output(name: string, shape: readonly (number | string)[]): void {
    this.#outputs.push(valueInfo(name, DataType.float, shape));
  }

  /** Adds a constant. @returns its name, which is `name` unless that is taken */
  constant(name: string, data: TensorData, dims: readonly number[] = []): string {
    const unique = this.#claim(name);
    this.#constants.push(makeTensor(unique, data, dims));
    return unique;
  }

  /**
   * Adds a node with one output.
   * @param name of the output; made unique if it is taken
   * @returns the output's name
   */
  node(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, AttributeValue> = {},
    name = opType,
  ): string {
    const output = this.#claim(name);
    this.#nodes.push(makeNode(opType, inputs, [output], attributes));
    return output;
  }

  /** Floats to integers. @returns the output's name */
  quantize(input: string, quantization: Quantization, name = `${input}_q`): string {
    return this.node('QuantizeLinear', [input, ...this.#parameters(name, quantization)], {}, name);
  }

  /** Integers to floats. @returns the output's name */
  dequantize(input: string, quantization: Quantization, name = `${input}_f`): string {
    return this.node('DequantizeLinear', [input, ...this.#parameters(name, quantization)], {}, name);
  }

  /**
   * A constant of integers, dequantized to floats.
   * @param scales one for each channel along `axis`, or a single one for all
   * @param zeroPoint the same for all channels
   * @returns the name of the floats
   */
  dequantizedConstant(
    name: string,
    data: Int8Array | Uint8Array | Int32Array,
    dims: readonly number[],
    scales: Float32Array,
    { axis = 0, zeroPoint = 0 } = {},
  ): string {
    const perChannel = scales.length > 1;
    const shape = perChannel ? [scales.length] : [];
    const IntArray = data.constructor as new (length: number) => typeof data;
    const inputs = [
      this.constant(name, data, dims),
      this.constant(`${name}_scale`, scales, shape),
      this.constant(`${name}_zero`, new IntArray(scales.length).fill(zeroPoint), shape),
    ];
    return this.node('DequantizeLinear', inputs, perChannel ? { axis } : {}, `${name}_f`);
  }

  /** Reserves a name for something that is added to the model elsewhere. @returns the name */
  reserve(name: string): string {
    this.#names.add(name);
    return name;
  }

  /** Gives the value `name` a second name. */
  alias(name: string, second: string): void {
    this.#nodes.push(makeNode('Identity', [name], [second]));
  }

  /** The finished model. @param metadata entries of metadata_props */
  build(metadata: Record<string, string> = {}): OnnxModel {
    return {
      irVersion: IR_VERSION,
      producerName: 'lookout',
      producerVersion: VERSION,
      docString: '',
      opsetImport: [{ domain: '', version: OPSET }],
      metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
      graph: {
        name: this.#name,
        node: this.#nodes,
        initializer: this.#constants,
        input: this.#inputs,
        output: this.#outputs,
        valueInfo: [],
      },
    };
  }

  #parameters(name: string, { scale, zeroPoint, type }: Quantization): [string, string] {
    const IntArray = type === 'uint8' ? Uint8Array : Int8Array;
    return [
      this.constant(`${name}_scale`, Float32Array.of(scale)),
      this.constant(`${name}_zero`, IntArray.of(zeroPoint)),
    ];
  }

  #claim(name: string): string {
    let unique = name;
    for (let count = 2; this.#names.has(unique); count++) unique = `${name}_${count}`;
    this.#names.add(unique);
    return unique;
  }
}

export function makeNode(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: Record<string, AttributeValue> = {},
): OnnxNode {
  return {
    opType,
    name: output[0] ?? opType,
    input: [...input],
    output: [...output],
    attribute: Object.entries(attributes).map(([name, value]) => makeAttribute(name, value)),
  };
}

function makeAttribute(name: string, value: AttributeValue): OnnxAttribute {
  if (typeof value === 'number') return { name, type: AttributeType.int, i: value };
  if (typeof value === 'string') return { name, type: AttributeType.string, s: Buffer.from(value) };
  if ('float' in value) return { name, type: AttributeType.float, f: value.float };
  return { name, type: AttributeType.ints, ints: [...value] };
}

const typeOf = (data: TensorData) => {
  if (data instanceof Float32Array) return DataType.float;
  if (data instanceof Int8Array) return DataType.int8;
  if (data instanceof Uint8Array) return DataType.uint8;
  return data instanceof Int32Array ? DataType.int32 : DataType.int64;
};

export function makeTensor(name: string, data: TensorData, dims: readonly number[]): OnnxTensor {
  return {
    name,
    dims: [...dims],
    dataType: typeOf(data),
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    floatData: [],
    int32Data: [],
    int64Data: [],
    doubleData: [],
    dataLocation: 0,
  };
}

function valueInfo(name: string, elemType: number, shape: readonly (number | string)[]): OnnxValue {
  const dim = shape.map(
    (size): OnnxDimension => (typeof size === 'string' ? { dimParam: size } : { dimValue: size }),
  );
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}
