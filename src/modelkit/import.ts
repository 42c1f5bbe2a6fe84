/** Imports a TensorFlow Lite classifier or detector: converts a .tflite file into a self-contained .onnx file. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { LookoutError, messageOf } from '../errors.ts';
import { checkNetwork } from '../model/classifier-check.ts';
import { describeModel, type WrittenDescription } from '../model/describe.ts';
import { descriptionFile, type ModelDescription } from '../model/description.ts';
import { detectorContent } from '../model/detector.ts';
import type { InputRange } from '../model/input-range.ts';
import { backgroundIn } from '../model/label-choice.ts';
import { labelsBeside, parseLabels, textOf } from '../model/label-file.ts';
import { DESCRIPTION_KEY, readDescription } from '../model/load-model.ts';
import { decodeModel, encodeModel, type OnnxGraph, setMetadata } from '../model/onnx.ts';
import { networkOf } from '../model/signature.ts';
import { writeWhole } from '../runtime/write-file.ts';
import { foreignFile, foreignFolder } from './file-kind.ts';
import { type GuessedRange, guessRange } from './quantize/guess-range.ts';
import { type Converted, convertTflite } from './tflite/convert.ts';
import { findDetector } from './tflite/detector.ts';
import { floatPixels, intPixels, readMetadata, type TfliteMetadata } from './tflite/metadata.ts';
import { isTflite, readTflite, type TfliteModel } from './tflite/read-tflite.ts';
import { type Trial, tryModel } from './trial.ts';

export interface ImportOptions {
  file: string;
  /** Output file; by default next to `file`, as .onnx. */
  out?: string | undefined;
  /** Labels file; by default the one inside the file, or the one next to it that fits. */
  labels?: string | undefined;
  /** Description file, for what the file does not state or states wrongly. */
  description?: string | undefined;
  /** Input range of a float file, if neither the file nor a description states it. */
  range?: InputRange | undefined;
  /** Also output the pooled features. */
  embedding?: boolean | undefined;
}

export interface ImportReport {
  out: string;
  bytes: number;
  description: ModelDescription;
  /** Operators of the source by name. */
  operators: Record<string, number>;
  trial: Trial;
}

/**
 * Converts, tests and writes a model. Either a complete file is written or none.
 * @throws LookoutError MODEL_*
 */
export async function importTflite(options: ImportOptions): Promise<ImportReport> {
  const { file } = options;
  const { source, converted, description } = await openTflite(options);
  setMetadata(converted.model, DESCRIPTION_KEY, JSON.stringify(description));
  const encoded = encodeModel(converted.model);
  const trial = await tryModel(encoded, description);
  const out = options.out ?? join(dirname(file), `${basename(file, extname(file))}.onnx`);
  await writeWhole(out, encoded);
  const operators: Record<string, number> = {};
  for (const { name } of source.operators) operators[name] = (operators[name] ?? 0) + 1;
  return { out, bytes: encoded.length, description, operators, trial };
}

/** A file that was read and converted. */
export interface OpenedTflite {
  source: TfliteModel;
  converted: Converted;
  description: ModelDescription;
  /** The guessed range of a float input, if nothing states it. */
  assumed: GuessedRange | null;
}

/**
 * Reads and converts a file without writing anything.
 * @param plain for quantising it again (see `convertTflite`)
 * @throws LookoutError MODEL_*
 */
export async function openTflite(
  options: Omit<ImportOptions, 'out'>,
  { plain = false } = {},
): Promise<OpenedTflite> {
  const { file, embedding = false } = options;
  const bytes = await read(file);
  if (!isTflite(bytes)) throw notTflite(bytes, file);
  const source = orCorrupt(file, () => readTflite(bytes));
  const given = options.description
    ? await readDescription(options.description)
    : { source: file, content: descriptionFile.parse({}) };
  const converted = orCorrupt(file, () => {
    const detector = findDetector(source, given.content.boxes, file);
    return convertTflite(source, file, { embedding, plain, detector });
  });
  return { source, converted, ...(await describe(bytes, source, converted, given, options)) };
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    const folder = foreignFolder(cause, file, 'a TensorFlow Lite model');
    if (folder) throw folder;
    throw new LookoutError('MODEL_MISSING', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** The error for a file without the mark of TensorFlow Lite. */
function notTflite(bytes: Uint8Array, file: string): LookoutError {
  const onnx = onnxGraph(bytes);
  const detector = onnx && detectorContent(onnx, descriptionFile.parse({}), file);
  if (!onnx) {
    const foreign = foreignFile(bytes, file, 'a TensorFlow Lite model');
    return foreign ?? corrupt(file, bytes.length === 0 ? 'the file is empty' : 'the mark TFL3 is missing');
  }
  if (!detector) checkNetwork(networkOf(onnx, undefined), file);
  return new LookoutError(
    'MODEL_FORMAT_UNSUPPORTED',
    `${file} is an ONNX model; expected a TensorFlow Lite one`,
    {
      hint:
        'It needs no import: name it in `model.file` or with --model. If it computes in floats, make it faster with ' +
        `\`lookout model quantize ${file} --calibrate FOLDER\`.`,
    },
  );
}

function onnxGraph(bytes: Uint8Array): OnnxGraph | null {
  try {
    return decodeModel(bytes).graph;
  } catch {
    return null;
  }
}

/** Reports any error of a step as damage of the file. */
function orCorrupt<T>(file: string, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    if (cause instanceof LookoutError) throw cause;
    throw corrupt(file, messageOf(cause), cause);
  }
}

function corrupt(file: string, reason: string, cause?: unknown): LookoutError {
  return new LookoutError('MODEL_CORRUPT', `${file} is not a valid TensorFlow Lite model: ${reason}`, {
    cause,
    hint: 'It may be incomplete: download or copy it again.',
  });
}

async function describe(
  bytes: Buffer,
  source: TfliteModel,
  converted: Converted,
  given: WrittenDescription,
  { file, labels: named, range }: ImportOptions,
): Promise<Pick<OpenedTflite, 'description' | 'assumed'>> {
  const metadata = readMetadata(bytes, source);
  const { content } = given;
  const labels =
    (named ? parseLabels(textOf(await read(named), named)) : content.labels) ?? metadata.labels ?? undefined;
  const input = { ...pixelsIn(metadata, converted), ...content.input };
  const float = converted.pixels === 'float';
  const assumed =
    float && !range && !input.mean ? guessRange(converted.model, 'nhwc', converted.channels) : null;
  const description = describeModel(
    converted.model.graph,
    basename(file, extname(file)),
    file,
    {
      source: given.source,
      content: {
        ...content,
        input,
        task: converted.boxes ? 'detect' : 'classify',
        output: { ...converted.output, ...content.output },
        boxes: converted.boxes,
        embedding: converted.embedding,
        labels,
        licence: content.licence ?? metadata.licence,
        source: { file: basename(file), sha256: createHash('sha256').update(bytes).digest('hex') },
      },
    },
    { beside: labels ? [] : await labelsBeside(file), range: range ?? assumed ?? undefined },
  );
  const background = [...content.background, ...backgroundIn(description.labels)];
  return {
    description: { ...description, background: [...new Set(background)] },
    assumed,
  };
}

/** Mean and scale of the input, if the metadata state them. */
function pixelsIn(
  { normalisation }: TfliteMetadata,
  { pixels, channels }: Converted,
): { mean: number[]; scale: number[] } | null {
  if (!normalisation || !pixels) return null;
  return pixels === 'float'
    ? floatPixels(normalisation, channels)
    : intPixels(normalisation, pixels, channels);
}
