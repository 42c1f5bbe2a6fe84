/** Reads a model's input and outputs from its graph. */
import { LookoutError } from '../errors.ts';
import type { Network, Port } from './classifier-check.ts';
import { DataType, integer, type OnnxGraph, type OnnxValue } from './onnx.ts';

/** The image input. `width` and `height` are null where the graph leaves them open. */
export interface InputSignature {
  name: string;
  type: 'uint8' | 'int8' | 'float32';
  layout: 'nhwc' | 'nchw';
  channels: 1 | 3;
  width: number | null;
  height: number | null;
}

/** The output, one float vector. `classes` is null where the graph leaves it open. */
export interface OutputSignature {
  name: string;
  classes: number | null;
  kind: 'probabilities' | 'logits';
}

const INPUT_TYPES: Record<number, InputSignature['type']> = {
  [DataType.uint8]: 'uint8',
  [DataType.int8]: 'int8',
  [DataType.float]: 'float32',
};

const TYPE_NAMES = Object.fromEntries(
  Object.entries(DataType).map(([name, number]) => [number, name === 'float' ? 'float32' : name]),
) as Record<number, string>;

/** @param output limits the result to this output; by default all */
export function networkOf(graph: OnnxGraph, output: string | undefined): Network {
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const port = (value: OnnxValue): Port => ({
    name: value.name,
    type: TYPE_NAMES[value.type?.tensorType?.elemType ?? 0] ?? 'unsupported type',
    shape: shapeOf(value) ?? null,
  });
  return {
    inputs: graph.input.filter(({ name }) => !constants.has(name)).map(port),
    outputs: graph.output.filter(({ name }) => output === undefined || name === output).map(port),
    operators: new Set(graph.node.map(({ opType }) => opType)),
  };
}

/**
 * Reads the shape, layout and type of the only input.
 * @param file named in errors
 * @throws LookoutError MODEL_INPUT_UNSUPPORTED unless it is one image, in colour or grey, batch 1, of bytes or floats
 */
export function inputSignature(graph: OnnxGraph, file: string): InputSignature {
  const refuse = (message: string) => new LookoutError('MODEL_INPUT_UNSUPPORTED', `${file}: ${message}`);
  const constants = new Set(graph.initializer.map((tensor) => tensor.name));
  const inputs = graph.input.filter((input) => !constants.has(input.name));
  const [input] = inputs;
  if (!input || inputs.length > 1) {
    throw refuse(`expected one input, found ${inputs.length}: ${names(inputs)}`);
  }
  const type = INPUT_TYPES[input.type?.tensorType?.elemType ?? 0];
  if (!type) throw refuse(`expected ${input.name} to be uint8, int8 or float32`);

  const shape = shapeOf(input);
  if (shape?.length !== 4) {
    throw refuse(`expected ${input.name} to have 4 dimensions, found ${shapeText(shape)}`);
  }
  const [batch, a, b, c] = shape as [number | null, number | null, number | null, number | null];
  if (batch !== null && batch !== 1) {
    throw refuse(`expected ${input.name} to take one image at a time (batch 1), found ${shapeText(shape)}`);
  }
  for (const channels of [3, 1] as const) {
    const known = { name: input.name, type, channels };
    if (c === channels && a !== channels) return { ...known, layout: 'nhwc', height: a, width: b };
    if (a === channels) return { ...known, layout: 'nchw', height: b, width: c };
  }
  throw refuse(
    `expected ${input.name} to have 3 channels (colours) or 1 (grey), 1×H×W×3, 1×3×H×W, 1×H×W×1 or 1×1×H×W, ` +
      `found ${shapeText(shape)}`,
  );
}

/**
 * Reads the output called `name`, or the only one.
 * @param file named in errors
 * @throws LookoutError MODEL_OUTPUT_UNSUPPORTED unless it is one vector of float32
 */
export function outputSignature(graph: OnnxGraph, name: string | undefined, file: string): OutputSignature {
  const refuse = (message: string) => new LookoutError('MODEL_OUTPUT_UNSUPPORTED', `${file}: ${message}`);
  const candidates = name === undefined ? graph.output : graph.output.filter((o) => o.name === name);
  const [output] = candidates;
  if (!output || candidates.length > 1) {
    const expected = name === undefined ? 'one output' : `an output called ${name}`;
    throw refuse(`expected ${expected}, found ${names(graph.output)}`);
  }
  if (output.type?.tensorType?.elemType !== DataType.float) {
    throw refuse(`expected ${output.name} to be float32`);
  }
  const shape = shapeOf(output);
  const classAxes = shape?.slice(shape.length > 1 ? 1 : 0).filter((dimension) => dimension !== 1);
  if (classAxes && classAxes.length > 1) {
    throw refuse(`expected ${output.name} to be 1×N, found ${shapeText(shape)}`);
  }
  return {
    name: output.name,
    classes: classAxes?.length === 0 ? 1 : (classAxes?.[0] ?? null),
    kind: endsInProbabilities(graph, output.name) ? 'probabilities' : 'logits',
  };
}

/** One output of a detector: a row for each candidate. */
export interface TableSignature {
  name: string;
  rows: number;
  columns: number;
  kind: OutputSignature['kind'];
}

/**
 * Reads the output called `name` of a detector.
 * @param file named in errors
 * @throws LookoutError MODEL_OUTPUT_UNSUPPORTED unless it is 1×N×M of float32
 */
export function tableSignature(graph: OnnxGraph, name: string, file: string): TableSignature {
  const refuse = (message: string) => new LookoutError('MODEL_OUTPUT_UNSUPPORTED', `${file}: ${message}`);
  const output = graph.output.find((candidate) => candidate.name === name);
  if (!output) throw refuse(`expected an output called ${name}, found ${names(graph.output)}`);
  const shape = shapeOf(output);
  const [batch, rows, columns] = shape ?? [];
  const float = output.type?.tensorType?.elemType === DataType.float;
  if (!float || shape?.length !== 3 || (batch ?? 1) !== 1 || !rows || !columns) {
    throw refuse(`expected ${name} to be 1×N×M of float32, found ${shapeText(shape)}`);
  }
  return { name, rows, columns, kind: endsInProbabilities(graph, name) ? 'probabilities' : 'logits' };
}

const PASS_THROUGH = new Set([
  'QuantizeLinear',
  'DequantizeLinear',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Identity',
  'Cast',
]);

/** Whether the values come from a softmax or a sigmoid, possibly through steps that do not change their meaning. */
function endsInProbabilities(graph: OnnxGraph, output: string): boolean {
  const producers = new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)));
  let node = producers.get(output);
  for (let steps = 0; node && PASS_THROUGH.has(node.opType) && steps < 8; steps++) {
    node = producers.get(node.input[0] ?? '');
  }
  return node?.opType === 'Softmax' || node?.opType === 'Sigmoid';
}

function shapeOf(value: OnnxValue): (number | null)[] | undefined {
  return value.type?.tensorType?.shape?.dim.map((dimension) => {
    const size = dimension.dimParam ? 0 : integer(dimension.dimValue ?? 0);
    return size > 0 ? size : null;
  });
}

function shapeText(shape: (number | null)[] | undefined): string {
  return shape ? shape.map((size) => size ?? '?').join('×') || 'a single number' : 'no shape';
}

function names(values: OnnxValue[]): string {
  return values.map((value) => value.name).join(', ') || 'none';
}
