/** A float graph with everything that is known about its values, and the quantised models that come of it. */
import { type Emitted, emitQuantized, type Target } from './emit.ts';
import { type FloatGraph, writeFloatGraph } from './float-graph.ts';
import { type PixelForm, takeReals } from './input-pixels.ts';
import { planQuantization, type Step, scaledValues, weightedInputs } from './layer-plan.ts';
import { type CalibrationInput, gather, type Statistics } from './observe.ts';
import { chooseRange, type RangeMethod } from './ranges.ts';
import { correctBiases } from './weights.ts';

export interface Candidate {
  graph: FloatGraph;
  equalised: boolean;
  statistics: ReadonlyMap<string, Statistics>;
}

/** What is decided when a candidate is quantised. */
export interface Variant {
  ranges: RangeMethod;
  /** Outputs of the nodes that shall work on real numbers. */
  real: ReadonlySet<string>;
}

/**
 * Looks at what a graph makes of pictures.
 * @param onProgress hears the share of the pictures that was seen, 0…1
 */
export async function makeCandidate(
  graph: FloatGraph,
  equalised: boolean,
  inputs: readonly CalibrationInput[],
  onProgress: (share: number) => void,
): Promise<Candidate> {
  const steps = planQuantization(graph);
  // What gets its scale from elsewhere on the CPU may need one of its own in the form for TensorRT or behind a real layer.
  const scaled = steps.flatMap(({ kind, node }) =>
    kind === 'given' || kind === 'moving' ? node.outputs : [],
  );
  const values = [...new Set([...scaledValues(graph, steps), ...weightedInputs(steps), ...scaled])];
  const statistics = await gather(writeFloatGraph(graph), values, inputs, onProgress);
  return { graph, equalised, statistics };
}

export function emitCandidate(
  { graph, statistics }: Candidate,
  { ranges: method, real }: Variant,
  target: Target,
): Emitted {
  const ranges = new Map([...statistics].map(([name, seen]) => [name, chooseRange(seen, method)]));
  const corrected = correctBiases(graph, statistics, real);
  const renewed = new Map(graph.nodes.map((node, index) => [node, corrected.nodes[index]!]));
  const steps = planQuantization(graph, real);
  const again = steps.map((step): Step => ({ ...step, node: renewed.get(step.node)! }));
  return emitQuantized(corrected, again, ranges, target);
}

/** TensorRT takes no uint8: its form of the model takes real numbers, scaled by whoever feeds it. */
export function withRealInput(
  candidate: Candidate,
  form: PixelForm,
): { candidate: Candidate; form: PixelForm } {
  const reals = takeReals(candidate.graph, form);
  return { candidate: { ...candidate, graph: reals.graph }, form: reals.form };
}
