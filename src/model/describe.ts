/** Merges a model's graph, its written description and its label files into one description. */
import { LookoutError } from '../errors.ts';
import { outputFitsLabels } from './answers.ts';
import { checkNetwork } from './classifier-check.ts';
import { type DescriptionFile, descriptionFile, type ModelDescription } from './description.ts';
import { detectorAnswers, detectorContent } from './detector.ts';
import { type InputRange, normalisationOf } from './input-range.ts';
import { backgroundIn, withoutOffset } from './label-choice.ts';
import type { OnnxGraph } from './onnx.ts';
import { type InputSignature, inputSignature, networkOf, outputSignature } from './signature.ts';

/** A description, and its source for error messages. */
export interface WrittenDescription {
  source: string;
  content: DescriptionFile;
}

/** Values for what a description leaves out. */
export interface Fallbacks {
  /** From `model.labels`: overrides all others. */
  configured?: string[] | undefined;
  /** The label files next to the model. If there are no other labels and exactly one file has the right length, it is used. */
  beside: string[][];
  /** Input range of a float model: the graph does not state it. */
  range?: InputRange | undefined;
}

/**
 * Returns the complete description of a model.
 * @param name used if the description has none
 * @param file named in errors
 * @throws LookoutError MODEL_INPUT_UNSUPPORTED, MODEL_OUTPUT_UNSUPPORTED, MODEL_LABELS_MISMATCH,
 *   MODEL_DESCRIPTION_INVALID, MODEL_DESCRIPTION_MISSING
 */
export function describeModel(
  graph: OnnxGraph,
  name: string,
  file: string,
  written: WrittenDescription | null,
  fallbacks: Fallbacks,
): ModelDescription {
  const plain = written?.content ?? descriptionFile.parse({});
  const source = written?.source ?? file;
  const detector = detectorContent(graph, plain, source);
  const content = detector ?? plain;
  const names = { given: content.labels ?? fallbacks.configured, beside: fallbacks.beside };
  const { warning, ...answers } = detector
    ? detectorAnswers(graph, detector, names, file, source)
    : classifierAnswers(graph, content, names, file);
  const description: ModelDescription = {
    name: content.name ?? name,
    task: detector ? 'detect' : 'classify',
    input: describeInput(inputSignature(graph, file), content, fallbacks, written && source, file),
    ...answers,
    background: written ? content.background : backgroundIn(answers.labels),
    groups: content.groups,
    events: content.events,
    warning: [content.warning, warning].filter(Boolean).join(' ') || null,
    licence: content.licence,
    ...(content.embedding && { embedding: content.embedding }),
    ...(content.source && { source: content.source }),
  };
  checkNames(description, source);
  return fallbacks.configured ? relabel(description, fallbacks.configured, file) : description;
}

/** What a classifier answers. */
function classifierAnswers(
  graph: OnnxGraph,
  content: DescriptionFile,
  { given, beside }: { given: string[] | undefined; beside: string[][] },
  file: string,
): Pick<ModelDescription, 'output' | 'labels' | 'warning'> {
  checkNetwork(networkOf(graph, content.output.name), file);
  inputSignature(graph, file);
  const { name, kind, classes } = outputSignature(graph, content.output.name, file);
  const { found, warning } = chooseLabels(given, beside, classes, file);
  if (classes !== null && !outputFitsLabels(classes, found.length)) throw wrongCount(found, classes, file);
  return { output: { name, kind: content.output.kind ?? kind }, labels: found, warning };
}

function chooseLabels(
  given: string[] | undefined,
  beside: string[][],
  classes: number | null,
  file: string,
): { found: string[]; warning: string | null } {
  if (given) return { found: given, warning: null };
  const fitting = beside.filter((labels) => classes !== null && outputFitsLabels(classes, labels.length));
  if (fitting.length === 1) return { found: fitting[0]!, warning: null };
  if (classes === null) {
    throw new LookoutError(
      'MODEL_LABELS_MISMATCH',
      `${file} has no labels and does not state its number of classes`,
      {
        hint: 'List its labels in a file, one per line, and name the file in `model.labels` or with --labels.',
      },
    );
  }
  return {
    found: Array.from({ length: classes }, (_, index) => `class ${index}`),
    warning: `This model has no labels${fitting.length > 1 ? ' (several label files fit)' : ''}: its classes are numbered.`,
  };
}

function wrongCount(labels: string[], classes: number, file: string): LookoutError {
  const output = classes === 1 ? 'one number, for one or two labels' : `${classes} classes`;
  return new LookoutError(
    'MODEL_LABELS_MISMATCH',
    `${file} returns ${output}, but there are ${labels.length} labels`,
  );
}

function describeInput(
  signature: InputSignature,
  { input }: DescriptionFile,
  { range }: Fallbacks,
  source: string | null,
  file: string,
): ModelDescription['input'] {
  const contradictions = (['name', 'width', 'height', 'layout', 'type', 'channels'] as const)
    .filter((key) => input[key] !== undefined && signature[key] !== null && input[key] !== signature[key])
    .map((key) => `input.${key}: the model has ${signature[key]}, the description says ${input[key]}`);
  if (contradictions.length > 0) {
    throw new LookoutError('MODEL_DESCRIPTION_INVALID', `${source}: ${contradictions.join('; ')}`);
  }
  const { name, layout, type, channels } = signature;
  const width = signature.width ?? input.width;
  const height = signature.height ?? input.height;
  const forEach = (value: number) => new Array<number>(channels).fill(value);
  const bytes = type === 'float32' ? null : { mean: forEach(type === 'int8' ? 128 : 0), scale: forEach(1) };
  const usual = bytes ?? (range && normalisationOf(range, channels));
  const mean = input.mean ?? usual?.mean;
  const scale = input.scale ?? usual?.scale;
  if (!width || !height || !mean || !scale) {
    const missing = Object.entries({ width, height, mean, scale })
      .filter(([, value]) => !value)
      .map(([key]) => `input.${key}`);
    throw new LookoutError(
      'MODEL_DESCRIPTION_MISSING',
      `${file} takes ${type} and does not state how pixels become its input: ` +
        `expected ${missing.join(', ')} in ${source ?? 'a description'}`,
      {
        hint: `For an input of -1…1 write "mean": [${forEach(127.5).join(', ')}], "scale": [${forEach(0.0078431).join(', ')}]. \`lookout model quantize\` also accepts \`--input-range -1..1\`.`,
      },
    );
  }
  if (mean.length !== channels || scale.length !== channels) {
    throw new LookoutError(
      'MODEL_DESCRIPTION_INVALID',
      `${source}: expected ${channels === 1 ? 'one number' : '3 numbers'} in input.mean and in input.scale, because the ` +
        `model has ${channels === 1 ? 'one channel (grey)' : '3 channels'}, found ${mean.length} and ${scale.length}`,
    );
  }
  const { order = 'rgb', fit } = input;
  return { name, width, height, layout, type, channels, order, mean, scale, ...(fit && { fit }) };
}

/** Checks that every name in a description is a label, or for events a label or a group. */
function checkNames({ labels, groups, background, events }: ModelDescription, source: string): void {
  const known = new Set(labels);
  const problems = [
    ...background
      .filter((label) => !known.has(label))
      .map((label) => `background: "${label}" is not a label`),
    ...Object.entries(groups).flatMap(([group, members]) =>
      members
        .filter((label) => !known.has(label))
        .map((label) => `groups.${group}: "${label}" is not a label`),
    ),
    ...Object.keys(events)
      .filter((label) => !known.has(label) && !Object.hasOwn(groups, label))
      .map((label) => `events: "${label}" is not a label or group`),
  ];
  if (problems.length > 0) {
    throw new LookoutError('MODEL_DESCRIPTION_INVALID', `${source}: ${problems.join('; ')}`);
  }
}

/** Replaces the label names with the user's own. */
function relabel(description: ModelDescription, configured: string[], file: string): ModelDescription {
  const { boxes, labels: own } = description;
  if (!boxes && configured.length !== own.length) throw wrongCount(configured, own.length, file);
  const labels = boxes ? withoutOffset(configured, own.length, boxes.offset, file) : configured;
  const renamed = new Map(description.labels.map((label, index) => [label, labels[index]!]));
  const rename = (label: string) => renamed.get(label) ?? label;
  return {
    ...description,
    labels,
    background: description.background.map(rename),
    groups: Object.fromEntries(
      Object.entries(description.groups).map(([group, members]) => [group, members.map(rename)]),
    ),
    events: Object.fromEntries(
      Object.entries(description.events).map(([label, settings]) => [rename(label), settings]),
    ),
  };
}
