/** Plans which nodes compute in integers, and which values get a scale. */
import { type FloatGraph, type FloatNode, floatConstant, useCounts } from './float-graph.ts';

/** Operators with integer kernels in ONNX Runtime, used if their inputs and output are quantised. */
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
/** Operators that only move or select numbers: the output has the input's scale. */
const PASS_THROUGH = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'MaxPool', 'Slice']);

export type Step =
  | {
      kind: 'integer';
      node: FloatNode;
      /** The value that gets a scale: the output of the node, or of the activation after it. */
      output: string;
      /** A Relu or Clip after the node, which the limits of the integers can replace. */
      activation: FloatNode | null;
      /** Whether the output is rounded to integers, too. The output of the last matrix product is not. */
      rounded: boolean;
    }
  | { kind: 'passThrough'; node: FloatNode }
  /** A DequantizeLinear of the float graph, such as that of the pixels, which has its own scale. */
  | { kind: 'given'; node: FloatNode; scale: number; zeroPoint: number }
  | { kind: 'float'; node: FloatNode };

/** @param float outputs of nodes that compute in floats */
export function planQuantization(graph: FloatGraph, float: ReadonlySet<string> = new Set()): Step[] {
  const uses = useCounts(graph);
  const users = new Map(graph.nodes.map((node) => [node.inputs[0]!, node]));
  const steps: Step[] = [];
  const absorbed = new Set<FloatNode>();
  const last = graph.nodes.findLast((node) => isInteger(graph, node));
  const quantized = new Set<string>();
  for (const node of graph.nodes) {
    if (absorbed.has(node)) continue;
    const [output] = node.outputs as [string];
    const given = givenScale(graph, node);
    if (isInteger(graph, node) && !float.has(output)) {
      const rounded = node !== last || (node.op !== 'Gemm' && node.op !== 'MatMul');
      const next = rounded ? users.get(output) : undefined;
      const activation = next && uses.get(output) === 1 && activationRange(graph, next) ? next : null;
      if (activation) absorbed.add(activation);
      const scaled = activation?.outputs[0] ?? output;
      if (rounded) quantized.add(scaled);
      steps.push({ kind: 'integer', node, output: scaled, activation, rounded });
    } else if (PASS_THROUGH.has(node.op) && quantized.has(node.inputs[0]!)) {
      quantized.add(output);
      steps.push({ kind: 'passThrough', node });
    } else if (given) {
      quantized.add(output);
      steps.push({ kind: 'given', node, ...given });
    } else {
      steps.push({ kind: 'float', node });
    }
  }
  return steps;
}

/** The values whose ranges must be measured: the outputs of integer nodes, and their float inputs. */
export function scaledValues(graph: FloatGraph, steps: readonly Step[]): string[] {
  const quantized = new Set<string>();
  const measured = new Set<string>();
  for (const step of steps) {
    if (step.kind === 'integer') {
      for (const input of step.node.inputs) {
        if (input && !quantized.has(input) && !graph.constants.has(input)) measured.add(input);
      }
      if (!step.rounded) continue;
      measured.add(step.output);
    }
    if (step.kind !== 'float') quantized.add(step.kind === 'integer' ? step.output : step.node.outputs[0]!);
  }
  return [...measured];
}

/** The inputs of weighted nodes: their means correct the biases. */
export function weightedInputs(steps: readonly Step[]): string[] {
  return steps.flatMap(({ kind, node }) =>
    kind === 'integer' && WEIGHTED.has(node.op) ? [node.inputs[0]!] : [],
  );
}

/** The output range of a Relu or a Clip, or null for anything else. */
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

/** Weights must be constants. Other nodes with constant operands are excluded: those would need their own scale. */
function isInteger(graph: FloatGraph, node: FloatNode): boolean {
  if (!INTEGER.has(node.op)) return false;
  if (WEIGHTED.has(node.op)) {
    return floatConstant(graph, node.inputs[1]) !== null && !graph.constants.has(node.inputs[0]!);
  }
  return !node.inputs.some((name) => graph.constants.has(name));
}
