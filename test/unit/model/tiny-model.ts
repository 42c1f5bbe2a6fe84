import { DataType, encodeModel, type OnnxModel, type OnnxValue } from '../../../src/model/onnx.ts';

type Shape = (number | string)[];

const value = (name: string, elemType: number, shape: Shape): OnnxValue => ({
  name,
  type: {
    tensorType: {
      elemType,
      shape: { dim: shape.map((d) => (typeof d === 'string' ? { dimParam: d } : { dimValue: d })) },
    },
  },
});

/** A model with the right signature that cannot run: one node per output. */
export function tinyModel({
  input = [1, 4, 6, 3] as Shape,
  inputType = DataType.uint8 as number,
  outputs = { scores: [1, 3] } as Record<string, Shape>,
  outputType = DataType.float as number,
  last = 'Softmax',
  metadata = {} as Record<string, string>,
  rawBytes = 4,
} = {}): Uint8Array {
  const model = {
    irVersion: 8,
    opsetImport: [{ domain: '', version: 13 }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: 'tiny',
      node: Object.keys(outputs).map((output) => ({
        name: output,
        opType: last,
        input: ['image'],
        output: [output],
        attribute: [],
      })),
      initializer: [{ name: 'w', dims: [4], dataType: DataType.int8, rawData: new Uint8Array(rawBytes) }],
      input: [value('image', inputType, input)],
      output: Object.entries(outputs).map(([name, shape]) => value(name, outputType, shape)),
    },
  };
  return encodeModel(model as unknown as OnnxModel);
}
