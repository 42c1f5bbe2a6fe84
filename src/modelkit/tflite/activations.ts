/** Elementwise operators and activations, including those that make the scores. */
import { activation, type Conversion, makeValue, naturalAxes, type Value } from './conversion.ts';
import { HARD_SWISH, hardSwishLike } from './hard-swish.ts';
import type { Layer } from './layer-operators.ts';
import type { TfliteOperator, TfliteTensor } from './read-tflite.ts';
import { SEPARATE } from './window.ts';

type Graph = Conversion['graph'];

export const activations: Record<string, Layer> = {
  RELU: relu,
  RELU6: relu,
  RELU_0_TO_1: relu,
  RELU_N1_TO_1: relu,
  LEAKY_RELU: each((graph, x, { options }) =>
    graph.node('LeakyRelu', [x], { alpha: { float: options?.float32(0) ?? 0 } }),
  ),
  PRELU: prelu,
  HARD_SWISH: hardSwish,
  GELU: each(gelu),
  TANH: each((graph, x) => graph.node('Tanh', [x])),
  ELU: each((graph, x) => graph.node('Elu', [x])),
  ABS: each((graph, x) => graph.node('Abs', [x])),
  // TensorFlow Lite negates the bytes of integers, regardless of their zero point; no converter writes that.
  NEG: (conversion, operator, output) =>
    activation(output)
      ? conversion.refuse(operator, 'has an integer input')
      : each((graph, x) => graph.node('Neg', [x]))(conversion, operator, output),
  EXP: each((graph, x) => graph.node('Exp', [x])),
  SQRT: each((graph, x) => graph.node('Sqrt', [x])),
  SQUARE: each((graph, x) => graph.node('Mul', [x, x])),
  RSQRT: each((graph, x) => graph.node('Reciprocal', [graph.node('Sqrt', [x])])),
  LOGISTIC: each((graph, x) => graph.node('Sigmoid', [x])),
  SOFTMAX: alongLast((graph, x, { options }) => {
    const beta = options?.float32(0) ?? 1;
    const scaled = beta === 1 ? x : graph.node('Mul', [x, graph.constant('beta', Float32Array.of(beta))]);
    return graph.node('Softmax', [scaled], { axis: -1 });
  }),
  LOG_SOFTMAX: alongLast((graph, x) => graph.node('LogSoftmax', [x], { axis: -1 })),
  L2_NORMALIZATION: alongLast((graph, x) => graph.node('LpNormalization', [x], { axis: -1, p: 2 })),
  QUANTIZE: requantize,
  DEQUANTIZE: (conversion, { inputs }) => {
    const input = conversion.value(inputs[0]);
    return { ...input, int: null, float: conversion.float(input) };
  },
};

type Formula = (graph: Graph, x: string, operator: TfliteOperator) => string;

type Arrange = (conversion: Conversion, value: Value) => Value;

function each(formula: Formula, arrange: Arrange = (_, value) => value): Layer {
  return (conversion, operator, output) => {
    const value = arrange(conversion, conversion.value(operator.inputs[0]));
    return finished(
      conversion,
      operator,
      formula(conversion.graph, conversion.float(value), operator),
      output,
      value,
    );
  };
}

/** Formulas over all numbers along the last axis. */
function alongLast(formula: Formula): Layer {
  return each(formula, (conversion, value) => conversion.arranged(value, naturalAxes(value.shape)));
}

/** Final probabilities stay floats, which are finer than the 256 steps of the file. */
const PROBABILITIES = new Set(['LOGISTIC', 'SOFTMAX']);

function finished(
  conversion: Conversion,
  { name }: TfliteOperator,
  float: string,
  output: TfliteTensor,
  layout: Value,
): Value {
  const finer = PROBABILITIES.has(name) && conversion.isScores(output);
  return finer ? { ...layout, int: null, float } : conversion.quantized(float, output, layout);
}

function relu(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const value = conversion.value(operator.inputs[0]);
  return conversion.quantized(conversion.float(value), output, value, SEPARATE[operator.name]!);
}

function hardSwish(conversion: Conversion, { inputs }: TfliteOperator, output: TfliteTensor): Value {
  const { graph } = conversion;
  const value = conversion.value(inputs[0]);
  const quantization = activation(output);
  const own = !conversion.plain && quantization && value.int;
  const { slope, middle, step } = own ? hardSwishLike(value.int!.quantization, quantization) : HARD_SWISH;
  const x = conversion.float(value);
  const gate = graph.node('HardSigmoid', [x], { alpha: { float: slope }, beta: { float: middle } });
  const float = graph.node('Mul', [x, gate]);
  if (!own) return conversion.quantized(float, output, value);
  const name = graph.quantize(float, { ...quantization, scale: step }, conversion.nameOf(output));
  return makeValue(value, { name, quantization });
}

/** Slopes for numbers below zero, usually one for each channel. */
function prelu(conversion: Conversion, { inputs }: TfliteOperator, output: TfliteTensor): Value {
  const given = conversion.value(inputs[0]);
  const rank = given.shape.length;
  const value =
    rank === 4 ? conversion.asPlanes(given) : conversion.arranged(given, naturalAxes(given.shape));
  const slopes = conversion.operand(inputs[1], rank, value.axes);
  const float = conversion.graph.node('PRelu', [conversion.float(value), conversion.float(slopes)]);
  return conversion.quantized(float, output, value);
}

/** x · Φ(x), or its usual approximation with tanh. */
function gelu(graph: Graph, x: string, { options }: TfliteOperator): string {
  const number = (value: number) => graph.constant('number', Float32Array.of(value));
  const times = (value: string, factor: number) => graph.node('Mul', [value, number(factor)]);
  const approximate = (options?.int8(0) ?? 0) !== 0;
  const cube = () => graph.node('Mul', [graph.node('Mul', [x, x]), x]);
  const inner = approximate
    ? graph.node('Tanh', [times(graph.node('Add', [x, times(cube(), 0.044715)]), Math.sqrt(2 / Math.PI))])
    : graph.node('Erf', [times(x, Math.SQRT1_2)]);
  return times(graph.node('Mul', [x, graph.node('Add', [inner, number(1)])]), 0.5);
}

function requantize(conversion: Conversion, operator: TfliteOperator, output: TfliteTensor): Value {
  const [input] = operator.inputs;
  const value = conversion.value(input);
  const next = activation(output);
  // Scores that were kept finer than the integers of the file stay so.
  if (!value.int && input && activation(input)) return value;
  const now = value.int?.quantization;
  if (now && next && now.scale === next.scale && now.zeroPoint === next.zeroPoint) return value;
  return conversion.quantized(conversion.float(value), output, value);
}
