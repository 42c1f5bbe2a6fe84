import { encodeModel, integer, type OnnxModel } from '../../../src/model/onnx.ts';
import { openSession, Tensor } from '../../../src/model/onnxruntime.ts';

/** Runs a model once and returns its outputs by name. */
export async function runModel(
  model: OnnxModel,
  data: Uint8Array | Float32Array,
): Promise<Record<string, Float32Array>> {
  const session = await openSession(encodeModel(model), { exact: 'auto', logSeverityLevel: 3 });
  const input = model.graph.input[0]!;
  const dims = input.type!.tensorType!.shape!.dim.map(({ dimValue }) => integer(dimValue!));
  const tensor =
    data instanceof Uint8Array ? new Tensor('uint8', data, dims) : new Tensor('float32', data, dims);
  const results = await session.run({ [input.name]: tensor });
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, { data: values }]) => [
      name,
      Float32Array.from(values as Float32Array),
    ]),
  );
}
