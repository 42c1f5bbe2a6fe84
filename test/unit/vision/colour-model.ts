import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelDescription } from '../../../src/model/description.ts';
import { AttributeType, DataType, encodeModel, type OnnxModel } from '../../../src/model/onnx.ts';
import { tempFolder } from '../../support/folder.ts';

const value = (name: string, elemType: number, shape: number[]) => ({
  name,
  type: { tensorType: { elemType, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
});

const constant = (name: string, floatData: number[]) => ({
  ...{ name, dims: [floatData.length], dataType: DataType.float, floatData },
});

const node = (opType: string, input: string[], output: string, attribute: object[] = []) => ({
  ...{ name: output, opType, input, output: [output], attribute },
});

/**
 * A model that runs: `red`, `green` and `blue` are the softmax (or, for logits, the values) of the average colour in
 * hundredths of 255. Its input is uint8, 1×height×width×3.
 * @param fragile the run fails for a frame with a level of 250 or more in it
 */
export function colourModel({ width = 16, height = 16, logits = false, fragile = false } = {}): {
  file: string;
  description: ModelDescription;
  remove: () => void;
} {
  const model = {
    irVersion: 8,
    opsetImport: [{ domain: '', version: 13 }],
    graph: {
      name: 'colour',
      node: [
        node('Cast', ['image'], 'floats', [{ name: 'to', type: AttributeType.int, i: DataType.float }]),
        node('ReduceMean', ['floats'], 'means', [
          { name: 'axes', type: AttributeType.ints, ints: [1, 2] },
          { name: 'keepdims', type: AttributeType.int, i: 0 },
        ]),
        // Looks the brightest level up in a table of 250 zeros.
        node('ReduceMax', ['floats'], 'brightest', [{ name: 'keepdims', type: AttributeType.int, i: 0 }]),
        node('Cast', ['brightest'], 'index', [{ name: 'to', type: AttributeType.int, i: DataType.int32 }]),
        node('Gather', ['zeros', 'index'], 'zero'),
        node('Mul', ['means', 'hundredth'], 'scaled'),
        node('Add', ['scaled', 'zero'], 'logits'),
        ...(logits ? [] : [node('Softmax', ['logits'], 'probabilities')]),
      ],
      initializer: [constant('hundredth', [0.01]), constant('zeros', new Array(fragile ? 250 : 256).fill(0))],
      input: [value('image', DataType.uint8, [1, height, width, 3])],
      output: [value(logits ? 'logits' : 'probabilities', DataType.float, [1, 3])],
    },
  };
  return {
    ...written(model),
    description: {
      name: 'colour',
      task: 'classify',
      input: {
        ...{ name: 'image', width, height, layout: 'nhwc', type: 'uint8', channels: 3, order: 'rgb' },
        ...{ mean: [0, 0, 0], scale: [1, 1, 1] },
      },
      output: logits ? { name: 'logits', kind: 'logits' } : { name: 'probabilities', kind: 'probabilities' },
      labels: ['red', 'green', 'blue'],
      ...{ background: [], groups: {}, events: {}, warning: null, licence: null },
    },
  };
}

/** A model with a single output, 1×1: how bright the frame is, 0…1. Its input is uint8, 1×16×16×3. */
export function singleModel(): ReturnType<typeof colourModel> {
  const colour = colourModel();
  colour.remove();
  const model = {
    irVersion: 8,
    opsetImport: [{ domain: '', version: 13 }],
    graph: {
      name: 'single',
      node: [
        node('Cast', ['image'], 'floats', [{ name: 'to', type: AttributeType.int, i: DataType.float }]),
        node('ReduceMean', ['floats'], 'mean', [
          { name: 'axes', type: AttributeType.ints, ints: [1, 2, 3] },
          { name: 'keepdims', type: AttributeType.int, i: 0 },
        ]),
        node('Mul', ['mean', 'share'], 'flat'),
        node('Unsqueeze', ['flat', 'axis'], 'score'),
      ],
      initializer: [
        constant('share', [1 / 255]),
        { name: 'axis', dims: [1], dataType: DataType.int64, int64Data: [1] },
      ],
      input: [value('image', DataType.uint8, [1, 16, 16, 3])],
      output: [value('score', DataType.float, [1, 1])],
    },
  };
  return {
    ...written(model),
    description: {
      ...colour.description,
      output: { name: 'score', kind: 'probabilities' },
      labels: ['face'],
    },
  };
}

function written(model: object): { file: string; remove: () => void } {
  const folder = tempFolder();
  const file = join(folder, 'colour.onnx');
  writeFileSync(file, encodeModel(model as unknown as OnnxModel));
  return { file, remove: () => rmSync(folder, { recursive: true }) };
}
