/**
 * From TensorFlow Lite's integer graph to ONNX's QDQ form with the same numbers.
 *
 * Activations become uint8 (int8 ones are shifted by 128 together with their zero points) and weights int8 (uint8
 * ones are shifted by −128): real = (whole − zeroPoint) × scale stays the same for each of them, and ONNX Runtime
 * has its fastest kernels for this pair. Pictures and features become planes, N×C×H×W.
 */
import { LookoutError } from '../../errors.ts';
import type { OnnxModel } from '../../model/onnx.ts';
import type { Quantization } from '../../model/onnx-graph.ts';
import { checkOperators, neededOperators } from './check-file.ts';
import { activation, Conversion, count, makeValue, PLANES } from './conversion.ts';
import { planCopies } from './copy-operators.ts';
import { reals } from './elements.ts';
import { LAYERS } from './layer-operators.ts';
import { checkPurpose } from './purpose.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './read-tflite.ts';

export interface Converted {
  model: OnnxModel;
  width: number;
  height: number;
  /** 1 for grey pictures. */
  channels: 1 | 3;
  /** How the file quantises real pixels when it takes those, or `real` if it computes with them; null if it takes bytes. */
  pixels: Quantization | 'real' | null;
  classes: number;
  output: { name: string; kind: 'probabilities' | 'logits' };
  /** Length of the pooled features, when they were asked for. */
  embedding: { name: string; size: number } | null;
}

/** Operators that change how numbers lie or are written, not what they mean. */
const FORMAL = new Set(['RESHAPE', 'SQUEEZE', 'EXPAND_DIMS', 'TRANSPOSE', 'QUANTIZE', 'DEQUANTIZE']);
/** Larger pictures are a damaged file. */
const LARGEST_SIDE = 2048;
const POOLS = new Set(['AVERAGE_POOL_2D', 'MEAN', 'SUM', 'REDUCE_MAX']);
const WEIGHTED = new Set(['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED']);

/**
 * @param file named in errors
 * @param embedding also make the pooled features an output
 * @param plain for being quantised anew: nothing is done for the speed and the rounding of whole numbers, and layers may
 *   compute with real ones
 * @throws LookoutError MODEL_OPERATOR_UNSUPPORTED, MODEL_NOT_QUANTIZED, MODEL_QUANTIZATION_INVALID,
 *   MODEL_INPUT_UNSUPPORTED, MODEL_OUTPUT_UNSUPPORTED, MODEL_COMPILED, MODEL_CORRUPT
 */
export function convertTflite(
  model: TfliteModel,
  file: string,
  { embedding = false, plain = false } = {},
): Converted {
  checkPurpose(model, file);
  const needed = neededOperators(model);
  checkOperators(needed, file, plain);
  const operators = plain ? withRealConstants(needed) : needed;
  const pooled = findPooled(operators);
  const fixed = [...model.inputs, ...model.outputs, ...(embedding && pooled ? [pooled] : [])];
  const scores = findScores(model, operators);
  const copies = plain ? new Map() : planCopies(operators, new Set(fixed));
  const conversion = new Conversion(file, { copies, scores, plain });
  const { width, height, channels, pixels } = addInput(conversion, model, operators, file);
  for (const operator of operators) {
    for (const output of operator.outputs) {
      // The picture itself may be what a QUANTIZE makes.
      if (!conversion.has(output)) {
        conversion.set(output, LAYERS[operator.name]!(conversion, operator, output));
      }
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

/** What the file answers, and what it is made of by writing it in another way. */
function findScores(model: TfliteModel, operators: readonly TfliteOperator[]): Set<TfliteTensor> {
  const scores = new Set(model.outputs);
  for (const { name, inputs, outputs } of [...operators].reverse()) {
    if (FORMAL.has(name) && inputs[0] && outputs[0] && scores.has(outputs[0])) scores.add(inputs[0]);
  }
  return scores;
}

/** The pooled features that go into the last layer. */
function findPooled(operators: readonly TfliteOperator[]): TfliteTensor | undefined {
  const last = operators.findLastIndex(({ name }) => WEIGHTED.has(name));
  return operators.slice(0, last).findLast(({ name }) => POOLS.has(name))?.outputs[0];
}

/** Weights that the file keeps as float16 or in 8 bits and turns into real numbers before it uses them. */
function withRealConstants(operators: readonly TfliteOperator[]): TfliteOperator[] {
  const made = new Map<TfliteTensor, TfliteTensor>();
  for (const { name, inputs, outputs } of operators) {
    const found = name === 'DEQUANTIZE' && inputs[0] ? reals(inputs[0]) : null;
    if (found) made.set(outputs[0]!, { ...outputs[0]!, data: new Uint8Array(found.buffer) });
  }
  return operators
    .filter(({ outputs: [output] }) => !output || !made.has(output))
    .map((operator) => ({
      ...operator,
      inputs: operator.inputs.map((tensor) => (tensor && made.get(tensor)) ?? tensor),
    }));
}

/** The picture: uint8 1×H×W×C, whatever the file takes; float32 if the file computes with real numbers. */
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
  const picture = pictureShape(input.shape);
  if (!picture)
    throw refuse(`expected a picture, 1×H×W×3 (colours) or 1×H×W×1 (grey), found ${input.shape.join('×')}`);
  const { height, width, channels, planes } = picture;
  const quantization = activation(source);
  const real = conversion.plain && source.type === 'float32';
  if (!quantization && !real) throw refuse(`expected pixels of 8 bits, found ${source.type}`);
  const shape = [1, height, width, channels];
  const name = conversion.graph.input('image', real ? 'float' : 'uint8', shape);
  const layout = { shape, axes: [0, 1, 2, 3] };
  const image = quantization
    ? makeValue(layout, { name, quantization })
    : { ...makeValue(layout, null), real: name };
  const lying = conversion.asPlanes(image);
  conversion.set(source, planes ? conversion.transposed(lying, PLANES) : lying);
  return { width, height, channels, pixels: real ? 'real' : source === input ? null : quantization };
}

/** What a picture of this shape is; null if it is none. Channels come last, or as planes. */
function pictureShape([batch, ...sizes]: readonly number[]):
  | (Pick<Converted, 'width' | 'height' | 'channels'> & { planes: boolean })
  | null {
  const isChannels = (size: number | undefined): size is 1 | 3 => size === 1 || size === 3;
  const [first, middle, last] = sizes as [number, number, number];
  if (batch !== 1 || sizes.length !== 3) return null;
  const planes = !isChannels(last);
  const channels = planes ? first : last;
  const [height, width] = planes ? [middle, last] : [first, middle];
  const sensible = [height, width].every((side) => side >= 1 && side <= LARGEST_SIDE);
  return isChannels(channels) && sensible ? { width, height, channels, planes } : null;
}

/** One float vector of scores. @returns its length */
function addOutput(conversion: Conversion, model: TfliteModel, file: string): number {
  const refuse = (message: string) => new LookoutError('MODEL_OUTPUT_UNSUPPORTED', `${file}: ${message}`);
  const [output] = model.outputs;
  if (!output || model.outputs.length > 1) throw refuse(`expected one output, found ${model.outputs.length}`);
  const classes = count(output.shape);
  if (classes < 1 || output.shape.filter((size) => size !== 1).length > 1) {
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
