/**
 * Static post-training quantisation: a float model and some pictures in, a QDQ model out.
 *
 *   float model ─▶ floatGraph ─▶ plan ─▶ observe (ranges on real pictures) ─▶ emit ─▶ QDQ model
 */
import type { OnnxModel } from '../onnx.ts';
import { emitQuantized } from './emit.ts';
import { floatGraph } from './float-graph.ts';
import { type ModelInput, minMax } from './observe.ts';
import { planQuantization, scaledValues } from './plan.ts';

/**
 * Quantises an image classifier.
 * @param model with float weights
 * @param inputs what the model is fed in real life, some hundred times
 */
export async function quantize(model: OnnxModel, inputs: readonly ModelInput[]): Promise<OnnxModel> {
  const graph = floatGraph(model);
  const steps = planQuantization(graph);
  const ranges = await minMax(model, scaledValues(graph, steps), inputs);
  return emitQuantized(graph, steps, ranges, model);
}
