/** Runs a float model on pictures and watches its values. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { DataType, encodeModel, integer, type OnnxModel } from '../onnx.ts';
import type { Range } from './emit.ts';

/** What goes into a model once, in its own layout and type. */
export type ModelInput = Uint8Array | Int8Array | Float32Array;

/**
 * Calls `watch` with every value of `names` for every input.
 * @param inputs each as long as the model's input
 */
export async function observe(
  model: OnnxModel,
  names: readonly string[],
  inputs: Iterable<ModelInput> | AsyncIterable<ModelInput>,
  watch: (name: string, values: Float32Array, dims: readonly number[]) => void,
): Promise<void> {
  const graph = { ...model.graph };
  const missing = names.filter((name) => !graph.output.some((output) => output.name === name));
  graph.output = [
    ...graph.output,
    ...missing.map((name) => ({ name, type: { tensorType: { elemType: DataType.float } } })),
  ];
  const session = await InferenceSession.create(encodeModel({ ...model, graph }));
  try {
    const constants = new Set(graph.initializer.map(({ name }) => name));
    const input = graph.input.find(({ name }) => !constants.has(name))!;
    const dims = (input.type?.tensorType?.shape?.dim ?? []).map((d) => integer(d.dimValue ?? 1) || 1);
    for await (const data of inputs) {
      const results = await session.run({ [input.name]: tensorOf(data, dims) }, [...names]);
      for (const name of names) watch(name, results[name]!.data as Float32Array, results[name]!.dims);
    }
  } finally {
    await session.release();
  }
}

/** Smallest and largest of each value over all inputs. */
export async function minMax(
  model: OnnxModel,
  names: readonly string[],
  inputs: Iterable<ModelInput> | AsyncIterable<ModelInput>,
): Promise<Map<string, Range>> {
  const ranges = new Map(names.map((name) => [name, { min: Infinity, max: -Infinity }]));
  await observe(model, names, inputs, (name, values) => {
    const range = ranges.get(name)!;
    for (const value of values) {
      if (value < range.min) range.min = value;
      if (value > range.max) range.max = value;
    }
  });
  return ranges;
}

function tensorOf(data: ModelInput, dims: number[]): Tensor {
  if (data instanceof Uint8Array) return new Tensor('uint8', data, dims);
  return data instanceof Int8Array ? new Tensor('int8', data, dims) : new Tensor('float32', data, dims);
}
