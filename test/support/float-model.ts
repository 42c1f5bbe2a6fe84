import { DataType, encodeModel, type OnnxModel } from '../../src/model/onnx.ts';

/** A model that really runs: float32 N×3×8×8 in, the mean of each channel out as three logits. */
export function floatModel(metadata: Record<string, string> = {}): Uint8Array {
  const value = (name: string, dim: object[]) => ({
    name,
    type: { tensorType: { elemType: DataType.float, shape: { dim } } },
  });
  const node = (opType: string, input: string, output: string) => ({
    name: opType,
    opType,
    input: [input],
    output: [output],
    attribute: [],
  });
  const batch = { dimParam: 'batch' };
  return encodeModel({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 13 }],
    metadataProps: Object.entries(metadata).map(([key, text]) => ({ key, value: text })),
    graph: {
      name: 'means',
      node: [node('GlobalAveragePool', 'input', 'pooled'), node('Flatten', 'pooled', 'output')],
      initializer: [],
      input: [value('input', [batch, { dimValue: 3 }, { dimValue: 8 }, { dimValue: 8 }])],
      output: [value('output', [batch, { dimValue: 3 }])],
    },
  } as unknown as OnnxModel);
}
