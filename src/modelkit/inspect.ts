import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type LoadedModel, loadModel } from '../model/load-model.ts';
import { decodeModel, integer } from '../model/onnx.ts';

/** The result of `lookout model inspect`. */
export interface Inspection extends LoadedModel {
  bytes: number;
  producer: string;
  opset: number;
  /** Operator → how many. */
  operators: Record<string, number>;
}

/**
 * Reads a model as the daemon does, and counts its operators.
 * @throws LookoutError MODEL_*
 */
export async function inspectModel(
  config: Parameters<typeof loadModel>[0],
  baseDir: string,
): Promise<Inspection> {
  const loaded = await loadModel(config, baseDir, { task: 'any' });
  const model = decodeModel(await readFile(loaded.file));
  const operators: Record<string, number> = {};
  for (const { opType } of model.graph.node) operators[opType] = (operators[opType] ?? 0) + 1;
  const opset = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx');
  return {
    ...loaded,
    bytes: statSync(loaded.file).size,
    producer: `${model.producerName} ${model.producerVersion}`.trim() || 'unknown',
    opset: opset ? integer(opset.version) : 0,
    operators,
  };
}
