/** Simplifies the models of any exporter by ONNX Runtime's constant folding. */
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { ModelDescription } from '../../model/description.ts';
import { inputShape } from '../../model/input-shape.ts';
import { decodeModel, encodeModel, integer, type OnnxModel } from '../../model/onnx.ts';
import { openSession } from '../../model/onnxruntime.ts';
import { makeFolder, removeFolder } from '../../runtime/own-files.ts';

/**
 * Reads a model. Weights in files next to it are read, too. In a float model everything that depends only on constants and
 * on the image size is computed once: exporters write pads and shapes as long chains of nodes. A quantised model, or
 * one that ONNX Runtime refuses, is returned unchanged.
 */
export async function readExported(file: string, described: ModelDescription['input']): Promise<OnnxModel> {
  const model = decodeModel(await readFile(file));
  await readExternalWeights(model, dirname(file));
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
      // The model is not run; only constants are folded, and the rest of the graph must stay unchanged.
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

/** PyTorch writes the weights to a separate file, `model.onnx.data`. Only files in the model's folder are read. */
async function readExternalWeights({ graph }: OnnxModel, folder: string): Promise<void> {
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
