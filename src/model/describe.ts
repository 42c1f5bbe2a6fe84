/** Joins what a model's graph says, what its written description says and where labels were found. */
import { LookoutError } from '../errors.ts';
import { answersFit } from './answers.ts';
import { checkNetwork } from './classifier-check.ts';
import { type DescriptionFile, descriptionFile, type ModelDescription } from './description.ts';
import { type InputRange, pixelsOf } from './input-range.ts';
import type { OnnxGraph } from './onnx.ts';
import { type InputSignature, inputSignature, networkOf, outputSignature } from './signature.ts';

/** A description and where it was found, for messages. */
export interface WrittenDescription {
  source: string;
  content: DescriptionFile;
}

/** What is used where a description says nothing. */
export interface Fallbacks {
  /** From `model.labels`: replaces every other. */
  configured?: string[] | undefined;
  /** The labels files beside the model; the only one of the right length is used when there is nothing else. */
  beside: string[][];
  /** What the real numbers of a float model stand for: they mean nothing by themselves. */
  range?: InputRange | undefined;
}

/**
 * The complete description of a model.
 * @param name what to call it if its description does not
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
  const content = written?.content ?? descriptionFile.parse({});
  const source = written?.source ?? file;
  checkNetwork(networkOf(graph, content.output.name), file);
  const signature = inputSignature(graph, file);
  const output = outputSignature(graph, content.output.name, file);
  const { configured, beside } = fallbacks;
  const labels = chooseLabels(content.labels ?? configured, beside, output.classes, file);
  if (output.classes !== null && !answersFit(output.classes, labels.found.length)) {
    throw wrongCount(labels.found, output.classes, file);
  }

  const description: ModelDescription = {
    name: content.name ?? name,
    input: describeInput(signature, content, fallbacks, written && source, file),
    output: { name: output.name, kind: content.output.kind ?? output.kind },
    labels: labels.found,
    background: written ? content.background : labels.found.filter((label) => label === 'background'),
    groups: content.groups,
    events: content.events,
    warning: [content.warning, labels.warning].filter(Boolean).join(' ') || null,
    licence: content.licence,
    ...(content.embedding && { embedding: content.embedding }),
    ...(content.source && { source: content.source }),
  };
  checkNames(description, source);
  if (!configured) return description;
  if (configured.length !== labels.found.length) throw wrongCount(configured, labels.found.length, file);
  return relabel(description, configured);
}

function chooseLabels(
  given: string[] | undefined,
  beside: string[][],
  classes: number | null,
  file: string,
): { found: string[]; warning: string | null } {
  if (given) return { found: given, warning: null };
  const fitting = beside.filter((labels) => classes !== null && answersFit(classes, labels.length));
  if (fitting.length === 1) return { found: fitting[0]!, warning: null };
  if (classes === null) {
    throw new LookoutError(
      'MODEL_LABELS_MISMATCH',
      `${file} neither has labels nor says how many classes it has`,
    );
  }
  return {
    found: Array.from({ length: classes }, (_, index) => `class ${index}`),
    warning: `There are no labels for this model${fitting.length > 1 ? ' (several files would fit)' : ''}: its classes are only numbered.`,
  };
}

function wrongCount(labels: string[], classes: number, file: string): LookoutError {
  const answers = classes === 1 ? 'one number, for one label or two' : `${classes} classes`;
  return new LookoutError(
    'MODEL_LABELS_MISMATCH',
    `${file} answers with ${answers}, but there are ${labels.length} labels`,
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
  const usual = bytes ?? (range && pixelsOf(range, channels));
  const mean = input.mean ?? usual?.mean;
  const scale = input.scale ?? usual?.scale;
  if (!width || !height || !mean || !scale) {
    const missing = Object.entries({ width, height, mean, scale })
      .filter(([, value]) => !value)
      .map(([key]) => `input.${key}`);
    throw new LookoutError(
      'MODEL_DESCRIPTION_MISSING',
      `${file} takes ${type} and does not say how a picture becomes its input: ` +
        `expected ${missing.join(', ')} in ${source ?? 'a description'}`,
      {
        hint: `Input of -1…1 is "mean": [${forEach(127.5).join(', ')}], "scale": [${forEach(0.0078431).join(', ')}]. \`lookout model quantize\` takes \`--input-range -1..1\` as well.`,
      },
    );
  }
  if (mean.length !== channels || scale.length !== channels) {
    throw new LookoutError(
      'MODEL_DESCRIPTION_INVALID',
      `${source}: expected ${channels === 1 ? 'one number' : '3 numbers'} in input.mean and in input.scale, as the ` +
        `model has ${channels === 1 ? 'one channel (grey)' : '3 channels'}, found ${mean.length} and ${scale.length}`,
    );
  }
  return { name, width, height, layout, type, channels, order: input.order, mean, scale };
}

/** Every name that a description uses must be a label, or for events a label or group. */
function checkNames({ labels, groups, background, events }: ModelDescription, source: string): void {
  const known = new Set(labels);
  const problems = [
    ...background
      .filter((label) => !known.has(label))
      .map((label) => `background: no label is called "${label}"`),
    ...Object.entries(groups).flatMap(([group, members]) =>
      members
        .filter((label) => !known.has(label))
        .map((label) => `groups.${group}: no label is called "${label}"`),
    ),
    ...Object.keys(events)
      .filter((label) => !known.has(label) && !Object.hasOwn(groups, label))
      .map((label) => `events: no label or group is called "${label}"`),
  ];
  if (problems.length > 0) {
    throw new LookoutError('MODEL_DESCRIPTION_INVALID', `${source}: ${problems.join('; ')}`);
  }
}

/** The same description under the user's own label names. */
function relabel(description: ModelDescription, labels: string[]): ModelDescription {
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
