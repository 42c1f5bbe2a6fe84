/** Which outputs of a network are boxes and scores, and what its rows and columns mean. */
import { LookoutError } from '../errors.ts';
import { GRID_COLUMNS, gridCells } from './box-grid.ts';
import { type BoxDescription, boxesFile } from './boxes.ts';
import { checkInput } from './classifier-check.ts';
import { COCO_LABELS } from './coco-labels.ts';
import type { DescriptionFile, ModelDescription } from './description.ts';
import { labelsOfClasses } from './label-choice.ts';
import type { OnnxGraph } from './onnx.ts';
import { inputSignature, networkOf, tableSignature } from './signature.ts';

const YOLOX_STRIDES = [8, 16, 32];

/** What a detector answers, as part of its description. */
export type DetectorAnswers = Pick<ModelDescription, 'output' | 'labels' | 'warning'> & {
  boxes: BoxDescription;
};

/**
 * The description of a detector: the written one, or that of a YOLOX, which is known by the shape of its output.
 * @returns null for a network that is not described and not known as a detector
 * @throws LookoutError MODEL_DESCRIPTION_INVALID when the description says that it detects, but not how
 */
export function detectorContent(
  graph: OnnxGraph,
  content: DescriptionFile,
  source: string,
): (DescriptionFile & { boxes: BoxDescription }) | null {
  const { boxes } = content;
  if (boxes && content.task !== 'classify') return { ...content, boxes };
  if (content.task === 'detect' || boxes) {
    throw new LookoutError(
      'MODEL_DESCRIPTION_INVALID',
      `${source}: expected "boxes" together with "task": "detect", and without them "task": "classify"`,
    );
  }
  return yoloxContent(graph, content);
}

/** @throws LookoutError MODEL_INPUT_UNSUPPORTED, MODEL_OUTPUT_UNSUPPORTED, MODEL_DESCRIPTION_INVALID, MODEL_LABELS_MISMATCH */
export function detectorAnswers(
  graph: OnnxGraph,
  { boxes, ...content }: DescriptionFile & { boxes: BoxDescription },
  names: { given: string[] | undefined; beside: string[][] },
  file: string,
  source: string,
): DetectorAnswers {
  checkInput(networkOf(graph, undefined), file);
  const grid = boxes.coding === 'grid';
  const places = tableSignature(graph, boxes.output, file);
  const scores = tableSignature(graph, grid ? boxes.output : scoresOf(graph, content, boxes), file);
  const problem = grid
    ? gridProblem(graph, boxes, scores.rows, file)
    : anchorProblem(boxes, places, scores.rows);
  if (problem) throw new LookoutError('MODEL_DESCRIPTION_INVALID', `${source}: ${problem}`);
  const classes = scores.columns - boxes.offset - (grid ? GRID_COLUMNS : 0);
  const { found, warning } = labelsOfClasses(names.given, names.beside, classes, boxes.offset, file);
  return {
    output: { name: scores.name, kind: content.output.kind ?? scores.kind },
    labels: found,
    warning,
    boxes,
  };
}

/** The named output, or the only other one. */
function scoresOf(
  graph: OnnxGraph,
  { output }: Pick<DescriptionFile, 'output'>,
  boxes: BoxDescription,
): string {
  const others = graph.output.filter(({ name }) => name !== boxes.output);
  return output.name ?? (others.length === 1 ? others[0]!.name : 'scores');
}

function anchorProblem(
  { anchors }: BoxDescription,
  places: { rows: number; columns: number; name: string },
  rows: number,
): string | null {
  if (places.columns !== 4) return `boxes.output: ${places.name} has ${places.columns} columns and not 4`;
  if (places.rows !== rows) return `boxes.output: ${places.rows} boxes for ${rows} rows of scores`;
  if (anchors.length === 4 * rows) return null;
  return `boxes.anchors: expected ${4 * rows} numbers, 4 for each of ${rows} candidates, found ${anchors.length}`;
}

function gridProblem(
  graph: OnnxGraph,
  { strides }: BoxDescription,
  rows: number,
  file: string,
): string | null {
  const { width, height } = inputSignature(graph, file);
  const cells = gridCells(width ?? 0, height ?? 0, strides);
  return cells === rows ? null : `boxes.strides: make ${cells} cells, but the model has ${rows} candidates`;
}

/** A YOLOX takes bytes of a letterboxed image, blue first, as real numbers. */
function yoloxContent(
  graph: OnnxGraph,
  content: DescriptionFile,
): (DescriptionFile & { boxes: BoxDescription }) | null {
  const { inputs, outputs } = networkOf(graph, content.output.name);
  const [output] = outputs;
  const [, rows, columns, more] = output?.shape ?? [];
  const [, channels, height, width] = inputs[0]?.shape ?? [];
  if (outputs.length !== 1 || !rows || !columns || more !== undefined || channels !== 3) return null;
  if (!height || !width || columns <= GRID_COLUMNS) return null;
  if (rows !== gridCells(width, height, YOLOX_STRIDES)) return null;
  const every = (value: number) => [value, value, value];
  return {
    ...content,
    input: { order: 'bgr', fit: 'letterbox', mean: every(0), scale: every(1), ...content.input },
    output: { kind: 'probabilities', ...content.output },
    labels: content.labels ?? (columns - GRID_COLUMNS === COCO_LABELS.length ? [...COCO_LABELS] : undefined),
    boxes: boxesFile.parse({ output: output!.name, coding: 'grid', strides: YOLOX_STRIDES, overlap: 0.45 }),
  };
}
