/** A float graph with the statistics of its values, and the quantised models made from it. */
import { type Emitted, emitQuantized, type Target } from './emit.ts';
import { type FloatGraph, writeFloatGraph } from './float-graph.ts';
import { type PixelForm, takeFloats } from './input-pixels.ts';
import { planQuantization, type Step, scaledValues, weightedInputs } from './layer-plan.ts';
import { type CalibrationInput, gather, type Statistics } from './observe.ts';
import { chooseRange, type RangeMethod } from './ranges.ts';
import { correctBiases } from './weights.ts';

export interface Candidate {
  graph: FloatGraph;
  equalised: boolean;
  statistics: ReadonlyMap<string, Statistics>;
}

/** The options of quantising a candidate. */
export interface Variant {
  ranges: RangeMethod;
  /** Outputs of the nodes that compute in floats. */
  float: ReadonlySet<string>;
}

/**
 * Runs a graph on the calibration images and gathers statistics of its values.
 * @param onProgress called with the share of the images that is done, 0…1
 */
export async function makeCandidate(
  graph: FloatGraph,
  equalised: boolean,
  inputs: readonly CalibrationInput[],
  onProgress: (share: number) => void,
): Promise<Candidate> {
  const steps = planQuantization(graph);
  // A value that inherits its scale on the CPU may need its own for TensorRT or after a float layer.
  const scaled = steps.flatMap(({ kind, node }) =>
    kind === 'given' || kind === 'passThrough' ? node.outputs : [],
  );
  const values = [...new Set([...scaledValues(graph, steps), ...weightedInputs(steps), ...scaled])];
  const statistics = await gather(writeFloatGraph(graph), values, inputs, onProgress);
  return { graph, equalised, statistics };
}

export function emitCandidate(
  { graph, statistics }: Candidate,
  { ranges: method, float }: Variant,
  target: Target,
): Emitted {
  const ranges = new Map([...statistics].map(([name, seen]) => [name, chooseRange(seen, method)]));
  const corrected = correctBiases(graph, statistics, float);
  const correctedNodes = new Map(graph.nodes.map((node, index) => [node, corrected.nodes[index]!]));
  const steps = planQuantization(graph, float);
  const correctedSteps = steps.map((step): Step => ({ ...step, node: correctedNodes.get(step.node)! }));
  return emitQuantized(corrected, correctedSteps, ranges, target);
}

/** TensorRT does not support uint8: its form of the model has a float input, which the caller scales. */
export function withFloatInput(
  candidate: Candidate,
  form: PixelForm,
): { candidate: Candidate; form: PixelForm } {
  const converted = takeFloats(candidate.graph, form);
  return { candidate: { ...candidate, graph: converted.graph }, form: converted.form };
}
