/**
 * From TensorFlow Lite's integer graph to ONNX's QDQ form with the same numbers.
 *
 * Activations become uint8 (int8 ones are shifted by 128 together with their zero points) and weights int8 (uint8
 * ones are shifted by −128): real = (whole − zeroPoint) × scale stays the same for each of them, and ONNX Runtime
 * has its fastest kernels for this pair. Pictures and features become planes, N×C×H×W.
 */
import { LookoutError } from '../../errors.ts';
import type { Quantization } from '../graph.ts';
import type { OnnxModel } from '../onnx.ts';
import { checkOperators, neededOperators } from './check.ts';
import { activation, Conversion, makeValue } from './conversion.ts';
import { planCopies } from './copies.ts';
import { LAYERS } from './layers.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './read.ts';

export interface Converted {
  model: OnnxModel;
  width: number;
  height: number;
  channels: number;
  /** How the file quantises real pixels, when it takes those and quantises them itself; else null. */
  pixels: Quantization | null;
  classes: number;
  output: { name: string; kind: 'probabilities' | 'logits' };
  /** Length of the pooled features, when they were asked for. */
  embedding: { name: string; size: number } | null;
}

/** Operators that change how numbers lie or are written, not what they mean. */
const FORMAL = new Set(['RESHAPE', 'SQUEEZE', 'QUANTIZE', 'DEQUANTIZE']);
/** Larger pictures are a damaged file. */
const LARGEST_SIDE = 2048;
const POOLS = new Set(['AVERAGE_POOL_2D', 'MEAN']);

/**
 * @param file named in errors
 * @param embedding also make the pooled features an output
 * @param copies split weights that do not fit around zero (see copies.ts)
 * @throws LookoutError MODEL_OPERATOR_UNSUPPORTED, MODEL_NOT_QUANTIZED, MODEL_QUANTIZATION_INVALID,
 *   MODEL_INPUT_UNSUPPORTED, MODEL_OUTPUT_UNSUPPORTED, MODEL_CORRUPT
 */
export function convertTflite(
  model: TfliteModel,
  file: string,
  { embedding = false, copies = true } = {},
): Converted {
  const operators = neededOperators(model);
  checkOperators(operators, file);
  const pooled = operators.findLast(({ name }) => POOLS.has(name))?.outputs[0];
  const fixed = [...model.inputs, ...model.outputs, ...(embedding && pooled ? [pooled] : [])];
  const conversion = new Conversion(file, copies ? planCopies(operators, new Set(fixed)) : new Map());
  const { width, height, channels, pixels } = addInput(conversion, model, operators, file);
  for (const operator of operators) {
    const [output] = operator.outputs;
    // The picture itself may be what a QUANTIZE makes.
    if (output && !conversion.has(output)) {
      conversion.set(output, LAYERS[operator.name]!(conversion, operator, output));
    }
  }
  const last = operators.findLast(({ name }) => !FORMAL.has(name))?.name;
  const classes = addOutput(conversion, model, file);
  return {
    ...{ width, height, channels, pixels, classes },
    output: { name: 'scores', kind: last === 'SOFTMAX' || last === 'LOGISTIC' ? 'probabilities' : 'logits' },
    embedding: embedding ? addEmbedding(conversion, pooled, file) : null,
    model: conversion.graph.build(),
  };
}

/** The picture: uint8 1×H×W×C, whatever the file takes. */
function addInput(
  conversion: Conversion,
  model: TfliteModel,
  operators: readonly TfliteOperator[],
  file: string,
): Pick<Converted, 'width' | 'height' | 'channels' | 'pixels'> {
  const refuse = (message: string) => new LookoutError('MODEL_INPUT_UNSUPPORTED', `${file}: ${message}`);
  const [input] = model.inputs;
  if (!input || model.inputs.length > 1) throw refuse(`expected one input, found ${model.inputs.length}`);
  // A float input that is quantised first thing stands for pixels as well.
  const first = operators.find(({ inputs }) => inputs.includes(input));
  const source = input.type === 'float32' && first?.name === 'QUANTIZE' ? first.outputs[0]! : input;
  const [batch, height = 0, width = 0, channels = 0] = input.shape;
  const sensible = (side: number) => side >= 1 && side <= LARGEST_SIDE;
  const plausible = (channels === 1 || channels === 3) && sensible(height) && sensible(width);
  if (input.shape.length !== 4 || batch !== 1 || !plausible) {
    throw refuse(`expected a picture, 1×H×W×3 (colours) or 1×H×W×1 (grey), found ${input.shape.join('×')}`);
  }
  const quantization = activation(source);
  if (!quantization) throw refuse(`expected pixels of 8 bits, found ${source.type}`);
  const image = conversion.graph.input('image', 'uint8', input.shape);
  const planes = conversion.graph.node('Transpose', [image], { perm: [0, 3, 1, 2] }, 'planes');
  conversion.set(source, makeValue(input.shape, { name: planes, quantization }, true));
  return { width, height, channels, pixels: source === input ? null : quantization };
}

/** One float vector of scores. @returns its length */
function addOutput(conversion: Conversion, model: TfliteModel, file: string): number {
  const refuse = (message: string) => new LookoutError('MODEL_OUTPUT_UNSUPPORTED', `${file}: ${message}`);
  const [output] = model.outputs;
  if (!output || model.outputs.length > 1) throw refuse(`expected one output, found ${model.outputs.length}`);
  const classes = output.shape.at(-1) ?? 0;
  if (classes < 1 || output.shape.slice(0, -1).some((size) => size !== 1)) {
    throw refuse(`expected scores, 1×N, found ${output.shape.join('×')}`);
  }
  const scores = conversion.real(conversion.asVector(conversion.value(output), classes));
  conversion.graph.alias(scores, 'scores');
  conversion.graph.output('scores', [1, classes]);
  return classes;
}

function addEmbedding(
  conversion: Conversion,
  pooled: TfliteTensor | undefined,
  file: string,
): { name: string; size: number } {
  const size = pooled?.shape.at(-1) ?? 0;
  if (!pooled) {
    throw new LookoutError('MODEL_OUTPUT_UNSUPPORTED', `${file} has no pooled features to give out`);
  }
  conversion.graph.alias(conversion.real(conversion.asVector(conversion.value(pooled), size)), 'embedding');
  conversion.graph.output('embedding', [1, size]);
  return { name: 'embedding', size };
}
