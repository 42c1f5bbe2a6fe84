/** Brings a TensorFlow Lite classifier in: one .tflite file becomes one .onnx file that says everything itself. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { LookoutError, messageOf } from '../errors.ts';
import { checkNetwork } from '../model/classifier-check.ts';
import { describeModel } from '../model/describe.ts';
import { descriptionFile, type ModelDescription } from '../model/description.ts';
import type { InputRange } from '../model/input-range.ts';
import { labelsBeside, parseLabels, textOf } from '../model/label-file.ts';
import { DESCRIPTION_KEY, readDescription } from '../model/load-model.ts';
import { decodeModel, encodeModel, type OnnxGraph, setMetadata } from '../model/onnx.ts';
import { networkOf } from '../model/signature.ts';
import { writeWhole } from '../runtime/write-file.ts';
import { foreignFile, foreignFolder } from './file-kind.ts';
import { type GuessedRange, guessRange } from './quantize/guess-range.ts';
import { type Converted, convertTflite } from './tflite/convert.ts';
import { readMetadata, realPixels, type TfliteMetadata, wholePixels } from './tflite/metadata.ts';
import { isTflite, readTflite, type TfliteModel } from './tflite/read-tflite.ts';
import { type Trial, tryModel } from './trial.ts';

export interface ImportOptions {
  file: string;
  /** Where to write; by default beside `file`, as .onnx. */
  out?: string | undefined;
  /** Labels file; by default those inside the file, or the one beside it that fits. */
  labels?: string | undefined;
  /** Description file, for what the file does not say or says wrong. */
  description?: string | undefined;
  /** What a float file's input stands for, where neither the file nor a description says so. */
  range?: InputRange | undefined;
  /** Also give out the pooled features. */
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
 * Converts, tries and writes a model. Either a complete file is written or none.
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

/** A file that was read. */
export interface OpenedTflite {
  source: TfliteModel;
  converted: Converted;
  description: ModelDescription;
  /** What a float input is taken for, if nobody says so. */
  assumed: GuessedRange | null;
}

/**
 * Reads and converts a file without writing anything.
 * @param plain for being quantised anew (see `convertTflite`)
 * @throws LookoutError MODEL_*
 */
export async function openTflite(
  options: Omit<ImportOptions, 'out'>,
  { plain = false } = {},
): Promise<OpenedTflite> {
  const { file, embedding = false } = options;
  const bytes = await read(file);
  if (!isTflite(bytes)) throw notTflite(bytes, file);
  const source = soundly(file, () => readTflite(bytes));
  const converted = soundly(file, () => convertTflite(source, file, { embedding, plain }));
  return { source, converted, ...(await describe(bytes, source, converted, options)) };
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    const folder = foreignFolder(cause, file, 'a TensorFlow Lite model');
    if (folder) throw folder;
    throw new LookoutError('MODEL_MISSING', `${file} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/** What a file without the mark of TensorFlow Lite is. */
function notTflite(bytes: Uint8Array, file: string): LookoutError {
  const onnx = onnxGraph(bytes);
  if (!onnx) {
    const foreign = foreignFile(bytes, file, 'a TensorFlow Lite model');
    return foreign ?? corrupt(file, bytes.length === 0 ? 'it is empty' : 'it does not carry the mark TFL3');
  }
  checkNetwork(networkOf(onnx, undefined), file);
  return new LookoutError(
    'MODEL_FORMAT_UNSUPPORTED',
    `${file} is an ONNX model; expected a TensorFlow Lite one`,
    {
      hint:
        'It needs no import: name it in `model.file` or with --model. One that computes in floats gets faster with ' +
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

/** Whatever stumbles over damaged bytes, the answer is that they are damaged. */
function soundly<T>(file: string, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    if (cause instanceof LookoutError) throw cause;
    throw corrupt(file, messageOf(cause), cause);
  }
}

function corrupt(file: string, reason: string, cause?: unknown): LookoutError {
  return new LookoutError('MODEL_CORRUPT', `${file} is no sound TensorFlow Lite model: ${reason}`, {
    cause,
    hint: 'It may have been cut short: download or copy it again.',
  });
}

async function describe(
  bytes: Buffer,
  source: TfliteModel,
  converted: Converted,
  { file, labels: named, description: beside, range }: ImportOptions,
): Promise<Pick<OpenedTflite, 'description' | 'assumed'>> {
  const metadata = readMetadata(bytes, source);
  const given = beside ? await readDescription(beside) : { source: file, content: descriptionFile.parse({}) };
  const { content } = given;
  const labels =
    (named ? parseLabels(textOf(await read(named), named)) : content.labels) ?? metadata.labels ?? undefined;
  const input = { ...pixelsIn(metadata, converted), ...content.input };
  const real = converted.pixels === 'real';
  const assumed =
    real && !range && !input.mean ? guessRange(converted.model, 'nhwc', converted.channels) : null;
  const description = describeModel(
    converted.model.graph,
    basename(file, extname(file)),
    file,
    {
      source: given.source,
      content: {
        ...content,
        input,
        output: { ...converted.output, ...content.output },
        embedding: converted.embedding,
        labels,
        licence: content.licence ?? metadata.licence,
        source: { file: basename(file), sha256: createHash('sha256').update(bytes).digest('hex') },
      },
    },
    { beside: labels ? [] : await labelsBeside(file), range: range ?? assumed ?? undefined },
  );
  const background = description.labels.filter((label) => label === 'background');
  return {
    description: { ...description, background: [...new Set([...content.background, ...background])] },
    assumed,
  };
}

/** How levels become what the file takes, if its metadata say so. */
function pixelsIn(
  { normalisation }: TfliteMetadata,
  { pixels, channels }: Converted,
): { mean: number[]; scale: number[] } | null {
  if (!normalisation || !pixels) return null;
  return pixels === 'real'
    ? realPixels(normalisation, channels)
    : wholePixels(normalisation, pixels, channels);
}
