/**
 * Converts TensorFlow Lite's integer graph to ONNX's QDQ form with the same numbers.
 *
 * Activations become uint8 (int8 ones are shifted by 128 together with their zero points) and weights int8 (uint8
 * ones are shifted by −128): float = (int − zeroPoint) × scale stays the same for each of them, and ONNX Runtime
 * has its fastest kernels for this pair. Images and features become planes, N×C×H×W.
 */
import { LookoutError } from '../../errors.ts';
import type { BoxDescription } from '../../model/boxes.ts';
import type { OnnxModel } from '../../model/onnx.ts';
import type { Quantization } from '../../model/onnx-graph.ts';
import { checkOperators, neededOperators } from './check-file.ts';
import { activation, Conversion, count, makeValue, naturalAxes, PLANES } from './conversion.ts';
import { planCopies } from './copy-operators.ts';
import { BOXES, type DetectorEnd, SCORES } from './detector.ts';
import { floats } from './elements.ts';
import { LAYERS } from './layer-operators.ts';
import { checkPurpose } from './purpose.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './read-tflite.ts';

export interface Converted {
  model: OnnxModel;
  width: number;
  height: number;
  /** 1 for grey images. */
  channels: 1 | 3;
  /** How the file quantises its float input; `float` if it computes in floats; null if its input is bytes. */
  pixels: Quantization | 'float' | null;
  output: { name: string; kind: 'probabilities' | 'logits' };
  /** How the numbers of a detector become objects; null for a classifier. */
  boxes: BoxDescription | null;
  /** Length of the pooled features, if they are requested. */
  embedding: { name: string; size: number } | null;
}

export interface ConvertOptions {
  embedding?: boolean;
  plain?: boolean;
  detector?: DetectorEnd | null;
}

/** Operators that change only the layout or type of numbers. */
const FORMAL = new Set(['RESHAPE', 'SQUEEZE', 'EXPAND_DIMS', 'TRANSPOSE', 'QUANTIZE', 'DEQUANTIZE']);
/** Larger inputs mean a damaged file. */
const LARGEST_SIDE = 2048;
const POOLS = new Set(['AVERAGE_POOL_2D', 'MEAN', 'SUM', 'REDUCE_MAX']);
const WEIGHTED = new Set(['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED']);

/**
 * @param file named in errors
 * @param embedding also output the pooled features
 * @param detector where the network of a detector ends
 * @param plain for quantising it again: without optimisations for the speed and rounding of integers; layers may
 *   compute in floats
 * @throws LookoutError MODEL_OPERATOR_UNSUPPORTED, MODEL_NOT_QUANTIZED, MODEL_QUANTIZATION_INVALID,
 *   MODEL_INPUT_UNSUPPORTED, MODEL_OUTPUT_UNSUPPORTED, MODEL_COMPILED, MODEL_CORRUPT
 */
export function convertTflite(
  source: TfliteModel,
  file: string,
  { embedding = false, plain = false, detector = null }: ConvertOptions = {},
): Converted {
  checkPurpose(source, file, detector !== null);
  const model = detector ? { ...source, outputs: [detector.boxes, detector.scores] } : source;
  const needed = neededOperators(model);
  checkOperators(needed, file, plain);
  const operators = plain ? withFloatConstants(needed) : needed;
  const pooled = findPooled(operators);
  const fixed = [...model.inputs, ...model.outputs, ...(embedding && pooled ? [pooled] : [])];
  const answers = findScores(detector ? [detector.scores] : model.outputs, operators);
  // Which of two equal scores of a detector comes first decides which box stays, so they are rounded as in the file.
  const scores = detector ? new Set<TfliteTensor>() : answers;
  const copies = plain ? new Map() : planCopies(operators, new Set(fixed));
  const conversion = new Conversion(file, { copies, scores, plain });
  // Tensors of the file may have these names, too.
  for (const name of [SCORES, BOXES, 'embedding']) conversion.graph.reserve(name);
  const { width, height, channels, pixels } = addInput(conversion, model, operators, file);
  for (const operator of operators) {
    for (const output of operator.outputs) {
      // The output of a QUANTIZE may be the image itself.
      if (!conversion.has(output)) {
        conversion.set(output, LAYERS[operator.name]!(conversion, operator, output));
      }
    }
  }
  const last = operators.find(
    ({ name, outputs }) => !FORMAL.has(name) && outputs.some((output) => answers.has(output)),
  )?.name;
  if (detector) addTables(conversion, detector, file);
  else addOutput(conversion, model, file);
  return {
    width,
    height,
    channels,
    pixels,
    boxes: detector?.description ?? null,
    output: { name: SCORES, kind: last === 'SOFTMAX' || last === 'LOGISTIC' ? 'probabilities' : 'logits' },
    embedding: embedding ? addEmbedding(conversion, pooled, file) : null,
    model: conversion.graph.build(),
  };
}

/** The outputs, and the values that differ from them only in layout or type. */
function findScores(
  outputs: readonly TfliteTensor[],
  operators: readonly TfliteOperator[],
): Set<TfliteTensor> {
  const scores = new Set(outputs);
  for (const { name, inputs, outputs: made } of [...operators].reverse()) {
    if (FORMAL.has(name) && inputs[0] && made[0] && scores.has(made[0])) scores.add(inputs[0]);
  }
  return scores;
}

/** The pooled features: the input of the last layer. */
function findPooled(operators: readonly TfliteOperator[]): TfliteTensor | undefined {
  const last = operators.findLastIndex(({ name }) => WEIGHTED.has(name));
  return operators.slice(0, last).findLast(({ name }) => POOLS.has(name))?.outputs[0];
}

/** Replaces weights that the file stores as float16 or in 8 bits, and dequantises before use, with floats. */
function withFloatConstants(operators: readonly TfliteOperator[]): TfliteOperator[] {
  const made = new Map<TfliteTensor, TfliteTensor>();
  for (const { name, inputs, outputs } of operators) {
    const found = name === 'DEQUANTIZE' && inputs[0] ? floats(inputs[0]) : null;
    if (found) made.set(outputs[0]!, { ...outputs[0]!, data: new Uint8Array(found.buffer) });
  }
  return operators
    .filter(({ outputs: [output] }) => !output || !made.has(output))
    .map((operator) => ({
      ...operator,
      inputs: operator.inputs.map((tensor) => (tensor && made.get(tensor)) ?? tensor),
    }));
}

/** Adds the image input: uint8 1×H×W×C for any input of the file, but float32 if the file computes in floats. */
function addInput(
  conversion: Conversion,
  model: TfliteModel,
  operators: readonly TfliteOperator[],
  file: string,
): Pick<Converted, 'width' | 'height' | 'channels' | 'pixels'> {
  const refuse = (message: string) => new LookoutError('MODEL_INPUT_UNSUPPORTED', `${file}: ${message}`);
  const [input] = model.inputs;
  if (!input || model.inputs.length > 1) throw refuse(`expected one input, found ${model.inputs.length}`);
  // A float input whose first user is a QUANTIZE is treated as pixels, too.
  const first = operators.find(({ inputs }) => inputs.includes(input));
  const source = input.type === 'float32' && first?.name === 'QUANTIZE' ? first.outputs[0]! : input;
  const image = imageShape(input.shape);
  if (!image)
    throw refuse(`expected an image, 1×H×W×3 (colours) or 1×H×W×1 (grey), found ${input.shape.join('×')}`);
  const { height, width, channels, planes } = image;
  const quantization = activation(source);
  const float = conversion.plain && source.type === 'float32';
  if (!quantization && !float) throw refuse(`expected 8-bit pixels, found ${source.type}`);
  const shape = [1, height, width, channels];
  const name = conversion.graph.input('image', float ? 'float' : 'uint8', shape);
  const layout = { shape, axes: [0, 1, 2, 3] };
  const value = quantization
    ? makeValue(layout, { name, quantization })
    : { ...makeValue(layout, null), float: name };
  const arranged = conversion.asPlanes(value);
  conversion.set(source, planes ? conversion.transposed(arranged, PLANES) : arranged);
  return { width, height, channels, pixels: float ? 'float' : source === input ? null : quantization };
}

/** Interprets a shape as an image with channels last or as planes; null if it is not one. */
function imageShape([batch, ...sizes]: readonly number[]):
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

/** Boxes and scores of a detector, a row for each candidate. */
function addTables(conversion: Conversion, { boxes, scores }: DetectorEnd, file: string): void {
  for (const [name, tensor] of [
    [BOXES, boxes],
    [SCORES, scores],
  ] as const) {
    const columns = tensor.shape.at(-1) ?? 0;
    const table = [1, count(tensor.shape) / columns, columns];
    if (!table.every((size) => Number.isInteger(size) && size > 0)) {
      throw new LookoutError('MODEL_OUTPUT_UNSUPPORTED', `${file}: ${name} of ${tensor.shape.join('×')}`);
    }
    const value = conversion.reshape(conversion.value(tensor), table);
    conversion.graph.alias(conversion.float(conversion.arranged(value, naturalAxes(table))), name);
    conversion.graph.output(name, table);
  }
}

/** Adds the output, one float vector of scores. */
function addOutput(conversion: Conversion, model: TfliteModel, file: string): void {
  const refuse = (message: string) => new LookoutError('MODEL_OUTPUT_UNSUPPORTED', `${file}: ${message}`);
  const [output] = model.outputs;
  if (!output || model.outputs.length > 1) throw refuse(`expected one output, found ${model.outputs.length}`);
  const classes = count(output.shape);
  if (classes < 1 || output.shape.filter((size) => size !== 1).length > 1) {
    throw refuse(`expected scores, 1×N, found ${output.shape.join('×')}`);
  }
  const scores = conversion.float(conversion.asVector(conversion.value(output), classes));
  conversion.graph.alias(scores, SCORES);
  conversion.graph.output(SCORES, [1, classes]);
}

function addEmbedding(
  conversion: Conversion,
  pooled: TfliteTensor | undefined,
  file: string,
): { name: string; size: number } {
  const size = pooled?.shape.at(-1) ?? 0;
  if (!pooled) {
    throw new LookoutError('MODEL_OUTPUT_UNSUPPORTED', `${file} has no pooled features to output`, {
      hint: 'Import it without --embedding.',
    });
  }
  conversion.graph.alias(conversion.float(conversion.asVector(conversion.value(pooled), size)), 'embedding');
  conversion.graph.output('embedding', [1, size]);
  return { name: 'embedding', size };
}
