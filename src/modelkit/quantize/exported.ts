/** Brings models of any exporter into a plain form, with the constant folding of ONNX Runtime. */
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { ModelDescription } from '../../model/description.ts';
import { inputShape } from '../../model/input-shape.ts';
import { decodeModel, encodeModel, integer, type OnnxModel } from '../../model/onnx.ts';
import { openSession } from '../../model/onnxruntime.ts';
import { makeFolder, removeFolder } from '../../runtime/own-files.ts';

/**
 * Reads a model; what a float one works out from constants and from the size of the picture is worked out once, and
 * weights that lie in files beside it come in. Exporters write pads and shapes as long chains of nodes otherwise.
 * A quantised model stays as it is, and so does one that ONNX Runtime does not take.
 */
export async function readExported(file: string, described: ModelDescription['input']): Promise<OnnxModel> {
  const model = decodeModel(await readFile(file));
  await bringWeightsIn(model, dirname(file));
  if (model.graph.node.some(({ opType }) => opType.endsWith('QuantizeLinear'))) return model;
  const constants = new Set(model.graph.initializer.map(({ name }) => name));
  const input = model.graph.input.find(({ name }) => !constants.has(name));
  const sizes = inputShape(described);
  const dimensions = input?.type?.tensorType?.shape?.dim ?? [];
  for (const [index, { dimValue = 0 }] of dimensions.entries()) {
    if (!integer(dimValue)) dimensions[index] = { dimValue: sizes[index] ?? 1 };
  }
  const folder = await makeFolder(join(tmpdir(), 'lookout-model-'));
  try {
    const plain = join(folder, 'plain.onnx');
    const session = await openSession(encodeModel(model), {
      // Nothing is run: the graph is to come back as it is, but for what is constant.
      exact: 'never',
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'basic',
      optimizedModelFilePath: plain,
      intraOpNumThreads: 1,
      logSeverityLevel: 4,
    });
    await session.release();
    return decodeModel(await readFile(plain));
  } catch {
    return model;
  } finally {
    await removeFolder(folder);
  }
}

/** PyTorch keeps the weights in a file of their own, `model.onnx.data`. Only files in the folder of the model are read. */
async function bringWeightsIn({ graph }: OnnxModel, folder: string): Promise<void> {
  const files = new Map<string, Buffer>();
  for (const tensor of graph.initializer) {
    if (tensor.dataLocation !== 1) continue;
    const {
      location = '',
      offset = 0,
      length,
    } = Object.fromEntries((tensor.externalData ?? []).map(({ key, value }) => [key, value]));
    const name = basename(location);
    const bytes = files.get(name) ?? (await readFile(join(folder, name)));
    files.set(name, bytes);
    const start = Number(offset);
    const end = length === undefined ? bytes.length : start + Number(length);
    if (!(start >= 0 && start <= end && end <= bytes.length)) {
      throw new Error(`the weights ${tensor.name} are not in ${name}`);
    }
    tensor.rawData = bytes.subarray(start, end);
    tensor.dataLocation = 0;
    tensor.externalData = [];
  }
}
