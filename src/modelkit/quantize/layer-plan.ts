/** Which nodes will work on whole numbers, and which values get a scale. */
import { type FloatGraph, type FloatNode, floatConstant, useCounts } from './float-graph.ts';

/** Nodes that ONNX Runtime has integer kernels for when their inputs and output are quantised. */
const INTEGER = new Set([
  'Conv',
  'Gemm',
  'MatMul',
  'Add',
  'Mul',
  'GlobalAveragePool',
  'AveragePool',
  'Concat',
]);
const WEIGHTED = new Set(['Conv', 'Gemm', 'MatMul']);
/** Nodes that only move or choose numbers: the output has the input's scale. */
const PASS_THROUGH = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'MaxPool', 'Slice']);

export type Step =
  | {
      kind: 'integer';
      node: FloatNode;
      /** The value that gets a scale: the node's output, or that of the activation behind it. */
      output: string;
      /** A Relu or Clip behind the node, which the limits of the whole numbers can replace. */
      activation: FloatNode | null;
      /** Whether the output is rounded to whole numbers, too: the last matrix product's is not. */
      rounded: boolean;
    }
  | { kind: 'moving'; node: FloatNode }
  /** A DequantizeLinear of the float graph, such as that of the pixels: its scale is given. */
  | { kind: 'given'; node: FloatNode; scale: number; zeroPoint: number }
  | { kind: 'float'; node: FloatNode };

/** @param real outputs of nodes that shall work on real numbers */
export function planQuantization(graph: FloatGraph, real: ReadonlySet<string> = new Set()): Step[] {
  const uses = useCounts(graph);
  const users = new Map(graph.nodes.map((node) => [node.inputs[0]!, node]));
  const steps: Step[] = [];
  const absorbed = new Set<FloatNode>();
  const last = graph.nodes.findLast((node) => isInteger(graph, node));
  const whole = new Set<string>();
  for (const node of graph.nodes) {
    if (absorbed.has(node)) continue;
    const [output] = node.outputs as [string];
    const given = givenScale(graph, node);
    if (isInteger(graph, node) && !real.has(output)) {
      const rounded = node !== last || (node.op !== 'Gemm' && node.op !== 'MatMul');
      const next = rounded ? users.get(output) : undefined;
      const activation = next && uses.get(output) === 1 && activationRange(graph, next) ? next : null;
      if (activation) absorbed.add(activation);
      const scaled = activation?.outputs[0] ?? output;
      if (rounded) whole.add(scaled);
      steps.push({ kind: 'integer', node, output: scaled, activation, rounded });
    } else if (PASS_THROUGH.has(node.op) && whole.has(node.inputs[0]!)) {
      whole.add(output);
      steps.push({ kind: 'moving', node });
    } else if (given) {
      whole.add(output);
      steps.push({ kind: 'given', node, ...given });
    } else {
      steps.push({ kind: 'float', node });
    }
  }
  return steps;
}

/** The values whose ranges must be measured: what integer nodes make, and real numbers that go into them. */
export function scaledValues(graph: FloatGraph, steps: readonly Step[]): string[] {
  const whole = new Set<string>();
  const wanted = new Set<string>();
  for (const step of steps) {
    if (step.kind === 'integer') {
      for (const input of step.node.inputs) {
        if (input && !whole.has(input) && !graph.constants.has(input)) wanted.add(input);
      }
      if (!step.rounded) continue;
      wanted.add(step.output);
    }
    if (step.kind !== 'float') whole.add(step.kind === 'integer' ? step.output : step.node.outputs[0]!);
  }
  return [...wanted];
}

/** The values that go into weighted nodes, whose means correct the biases. */
export function weightedInputs(steps: readonly Step[]): string[] {
  return steps.flatMap(({ kind, node }) =>
    kind === 'integer' && WEIGHTED.has(node.op) ? [node.inputs[0]!] : [],
  );
}

/** The range that a Relu or a Clip leaves, or null for anything else. */
export function activationRange(graph: FloatGraph, node: FloatNode): { min: number; max: number } | null {
  if (node.op === 'Relu') return { min: 0, max: Infinity };
  if (node.op !== 'Clip') return null;
  const bound = (input: number, open: number) => floatConstant(graph, node.inputs[input])?.[0] ?? open;
  const range = { min: bound(1, -Infinity), max: bound(2, Infinity) };
  return range.min <= 0 && range.max > 0 ? range : null;
}

function givenScale(graph: FloatGraph, node: FloatNode): { scale: number; zeroPoint: number } | null {
  const scale = floatConstant(graph, node.inputs[1]);
  const zero = graph.constants.get(node.inputs[2] ?? '')?.data;
  if (node.op !== 'DequantizeLinear' || scale?.length !== 1 || !(zero instanceof Uint8Array)) return null;
  return { scale: scale[0]!, zeroPoint: zero[0]! };
}

/** Weights must be constants, and constants that are added or multiplied would need a scale of their own. */
function isInteger(graph: FloatGraph, node: FloatNode): boolean {
  if (!INTEGER.has(node.op)) return false;
  if (WEIGHTED.has(node.op)) {
    return floatConstant(graph, node.inputs[1]) !== null && !graph.constants.has(node.inputs[0]!);
  }
  return !node.inputs.some((name) => graph.constants.has(name));
}
