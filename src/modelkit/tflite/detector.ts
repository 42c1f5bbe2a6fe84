/**
 * Finds what a TensorFlow Lite file detects objects with: boxes and scores of candidates, and their anchors, either as
 * the inputs of TFLite_Detection_PostProcess, which is cut off, or as outputs.
 */
import { LookoutError } from '../../errors.ts';
import { type BoxDescription, boxesFile } from '../../model/boxes.ts';
import { floats, ints } from './elements.ts';
import { readNumbers } from './flexbuffer.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './read-tflite.ts';

/** Where the network ends that is converted. */
export interface DetectorEnd {
  boxes: TfliteTensor;
  scores: TfliteTensor;
  description: BoxDescription;
}

const POST_PROCESS = 'CUSTOM TFLite_Detection_PostProcess';
/** Names of the outputs of what is converted. */
export const BOXES = 'boxes';
export const SCORES = 'scores';
/** Files are made with limits that keep everything; what is below this is hardly ever an object. */
const LEAST_SCORE = 0.05;
const SCORE = 0.3;
const MOST_OBJECTS = 1000;

/**
 * @param written what a description says about the boxes, instead of the file
 * @param file named in errors
 * @returns null when the file is not known to be a detector
 * @throws LookoutError MODEL_OUTPUT_UNSUPPORTED, MODEL_CORRUPT
 */
export function findDetector(
  model: TfliteModel,
  written: BoxDescription | null,
  file: string,
): DetectorEnd | null {
  const end = model.operators.find(({ name }) => name === POST_PROCESS);
  const found = end ? beforePostProcess(end, model, file) : amongOutputs(model, written);
  return found && written ? { ...found, description: { ...written, output: BOXES } } : found;
}

function beforePostProcess(operator: TfliteOperator, model: TfliteModel, file: string): DetectorEnd {
  const [boxes, scores, anchors] = operator.inputs;
  const found = anchors && constantFloats(anchors, model.operators);
  const columns = scores?.shape.at(-1) ?? 0;
  if (!boxes || !scores || !found || boxes.shape.at(-1) !== 4) {
    throw new LookoutError(
      'MODEL_OUTPUT_UNSUPPORTED',
      `${file}: TFLite_Detection_PostProcess without boxes, scores and constant anchors`,
      { hint: 'Export it again with its anchors, or bring another detector.' },
    );
  }
  const options = optionsOf(operator, file);
  const option = (name: string, absent: number) => options.get(name) ?? absent;
  const scale = (axis: string) => option(`${axis}_scale`, 1) || 1;
  const least = option('nms_score_threshold', SCORE);
  const description = boxesFile.parse({
    output: BOXES,
    coding: 'centre',
    anchors: shortened(found),
    scales: { y: scale('y'), x: scale('x'), h: scale('h'), w: scale('w') },
    offset: Math.max(0, Math.min(1, columns - option('num_classes', columns))),
    score: least >= LEAST_SCORE && least <= 1 ? least : SCORE,
    overlap: Math.max(0, Math.min(1, option('nms_iou_threshold', 0.5))),
    suppression: option('use_regular_nms', 0) ? 'class' : 'all',
    most: Math.max(1, Math.min(MOST_OBJECTS, option('max_detections', 100))),
  });
  return { boxes, scores, description };
}

function optionsOf({ custom }: TfliteOperator, file: string): Map<string, number> {
  try {
    return custom ? readNumbers(custom) : new Map();
  } catch (cause) {
    throw new LookoutError(
      'MODEL_CORRUPT',
      `${file}: the options of TFLite_Detection_PostProcess are damaged`,
      {
        cause,
      },
    );
  }
}

/** A table with four columns that is computed, one that is constant, and another with as many rows. */
function amongOutputs(model: TfliteModel, written: BoxDescription | null): DetectorEnd | null {
  const tables = model.outputs.filter(({ shape }) => shape.length === 3 && shape[0] === 1);
  const fours = tables.filter(({ shape }) => shape[2] === 4);
  const constants = new Map(fours.map((tensor) => [tensor, constantFloats(tensor, model.operators)]));
  const [anchors] = fours.filter((tensor) => constants.get(tensor));
  const computed = tables.filter((tensor) => !constants.get(tensor));
  const boxes = computed.filter(({ shape }) => shape[2] === 4);
  // With four classes either may be the boxes: those come first in the files of all known makers.
  const [first] = boxes;
  const scores = computed.find((tensor) => tensor !== first && tensor.shape[1] === first?.shape[1]);
  if (!first || !scores || tables.length !== model.outputs.length || computed.length !== 2) return null;
  const found = anchors && constants.get(anchors);
  if (!found && !written?.anchors.length) return null;
  const corners = found ? areCorners(found) : false;
  const columns = scores.shape[2]!;
  return {
    boxes: first,
    scores,
    description: boxesFile.parse({
      output: BOXES,
      coding: corners ? 'corners' : 'centre',
      anchors: found ? shortened(found) : written!.anchors,
      // A softmax over one class would say nothing: the first is the background.
      offset: columns > 1 && endsInSoftmax(scores, model.operators) ? 1 : 0,
    }),
  };
}

/** Whether anchors are x1, y1, x2, y2; of a centre and a size, some size is smaller than the centre's distance. */
function areCorners(anchors: Float32Array): boolean {
  for (let at = 0; at < anchors.length; at += 4) {
    if (anchors[at + 2]! <= anchors[at]! || anchors[at + 3]! <= anchors[at + 1]!) return false;
  }
  return true;
}

function endsInSoftmax(tensor: TfliteTensor, operators: readonly TfliteOperator[]): boolean {
  const maker = operators.find(({ outputs }) => outputs.includes(tensor));
  if (maker?.name === 'SOFTMAX') return true;
  const formal = maker?.name === 'DEQUANTIZE' || maker?.name === 'QUANTIZE' || maker?.name === 'RESHAPE';
  return formal && maker.inputs[0] ? endsInSoftmax(maker.inputs[0], operators) : false;
}

/** The floats of a constant, also of one that is only repeated once, reshaped, joined or written otherwise. */
function constantFloats(tensor: TfliteTensor, operators: readonly TfliteOperator[]): Float32Array | null {
  if (tensor.data) return floats(tensor);
  const maker = operators.find(({ outputs }) => outputs.includes(tensor));
  const [input] = maker?.inputs ?? [];
  if (!maker || !input) return null;
  switch (maker.name) {
    case 'DEQUANTIZE':
    case 'QUANTIZE':
    case 'RESHAPE':
    case 'SQUEEZE':
    case 'EXPAND_DIMS':
      return constantFloats(input, operators);
    case 'TILE':
      return isOnce(maker) ? constantFloats(input, operators) : null;
    case 'CONCATENATION': {
      const parts = maker.inputs.map((part) => part && constantFloats(part, operators));
      const along = maker.options?.int32(0) ?? 0;
      const outer = tensor.shape.slice(0, along < 0 ? along + tensor.shape.length : along);
      // Behind each other in memory only where nothing lies outside of the axis.
      if (outer.some((size) => size !== 1) || !parts.every((part) => part !== null)) return null;
      return Float32Array.from(parts.flatMap((part) => [...part]));
    }
    default:
      return null;
  }
}

/** Whether a TILE repeats nothing: how often may be computed for any number of images, where the file says 1. */
function isOnce({ inputs: [input, times], outputs: [output] }: TfliteOperator): boolean {
  const listed = times?.data ? ints(times) : [];
  return listed.every((count) => count === 1) && input?.shape.join() === output?.shape.join();
}

/** As many digits as the numbers have, for a description that people read. */
function shortened(values: Float32Array): number[] {
  return Array.from(values, (value) => Number(value.toPrecision(7)));
}
