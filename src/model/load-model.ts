/**
 * Loads the configured `model`: checks the file and completes its description, without starting ONNX Runtime.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { z } from 'zod';
import type { ModelConfig } from '../config/schema.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { describeModel, type WrittenDescription } from './describe.ts';
import { descriptionFile, type ModelDescription } from './description.ts';
import type { InputRange } from './input-range.ts';
import { labelsBeside, parseLabels, textOf } from './label-file.ts';
import { decodeModel, metadata, type OnnxModel } from './onnx.ts';
import { requireTask, type Task } from './task.ts';
import { tensorProblem } from './tensor.ts';

/** Key of the metadata entry with a model's own description. */
export const DESCRIPTION_KEY = 'lookout';

/** What `model.file: builtin` stands for. */
export const BUILTIN_MODEL = resolve(import.meta.dirname, '../../models/lookout.onnx');

export interface LoadedModel {
  /** Absolute path. */
  file: string;
  /** Of the file, in hex. */
  sha256: string;
  description: ModelDescription;
}

export interface LoadOptions {
  /** Of a float model's input, where no description says it. */
  range?: InputRange | undefined;
  /** What the caller can do with a model; `any` where it is only looked at. */
  task?: Task | 'any';
}

/**
 * Reads and checks the configured model.
 *
 * Its description comes from `model.description`, from the model (metadata entry `lookout`) or from the file next to
 * it (`NAME.json`), whichever is found first. The graph provides what the description leaves out. Labels come from
 * `model.labels`, the description, or the only `*label*.txt` next to the model with the right number of lines;
 * without any, classes are numbered.
 * @param baseDir base of relative paths
 * @throws LookoutError MODEL_*
 */
export async function loadModel(
  config: Pick<ModelConfig, 'file' | 'description' | 'labels'>,
  baseDir: string,
  { range, task = 'classify' }: LoadOptions = {},
): Promise<LoadedModel> {
  const file = config.file === 'builtin' ? BUILTIN_MODEL : resolve(baseDir, config.file);
  const bytes = await read(file, 'model.file');
  const model = await parseModel(bytes, file);
  const written = config.description
    ? await readDescription(resolve(baseDir, config.description))
    : await ownDescription(model, file);
  const configured = config.labels
    ? parseLabels(textOf(await read(resolve(baseDir, config.labels), 'model.labels'), config.labels))
    : undefined;
  const beside = written?.content.labels || configured ? [] : await labelsBeside(file);
  const description = describeModel(model.graph, stem(file), file, written, { configured, beside, range });
  if (task !== 'any') requireTask(description, task, file);
  return { file, sha256: createHash('sha256').update(bytes).digest('hex'), description };
}

async function read(file: string, setting: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    // biome-ignore lint/style/noRestrictedImports: loaded only to explain a refused file
    const { foreignFolder } = await import('../modelkit/file-kind.ts');
    const folder = setting === 'model.file' && foreignFolder(cause, file, 'an ONNX model');
    if (folder) throw folder;
    throw new LookoutError('MODEL_MISSING', `${setting}: cannot read ${file}: ${messageOf(cause)}`, {
      cause,
      hint:
        setting === 'model.file'
          ? 'Run `lookout model list` to see the models that are added here and those that are available.'
          : undefined,
    });
  }
}

async function parseModel(bytes: Buffer, file: string): Promise<OnnxModel> {
  try {
    if (bytes.length === 0) throw new Error('the file is empty');
    const model = decodeModel(bytes);
    for (const tensor of model.graph.initializer) {
      const problem = tensorProblem(tensor);
      if (problem) throw new Error(problem);
    }
    return model;
  } catch (cause) {
    // biome-ignore lint/style/noRestrictedImports: loaded only to explain a refused file
    const { notOnnx } = await import('../modelkit/not-onnx.ts');
    const known = notOnnx(bytes, file);
    if (known) throw known;
    throw new LookoutError('MODEL_CORRUPT', `${file} is not a valid ONNX model: ${messageOf(cause)}`, {
      cause,
      hint: 'It may be incomplete: download or copy it again.',
    });
  }
}

/** @throws LookoutError MODEL_MISSING, MODEL_DESCRIPTION_INVALID */
export async function readDescription(file: string): Promise<WrittenDescription> {
  return parseDescription(textOf(await read(file, 'model.description'), file), file);
}

async function ownDescription(model: OnnxModel, file: string): Promise<WrittenDescription | null> {
  const inside = metadata(model, DESCRIPTION_KEY);
  if (inside !== undefined) return parseDescription(inside, `the description inside ${file}`);
  const beside = join(dirname(file), `${stem(file)}.json`);
  const bytes = await readFile(beside).catch(() => null);
  return bytes === null ? null : parseDescription(textOf(bytes, beside), beside);
}

function parseDescription(text: string, source: string): WrittenDescription {
  const refuse = (reason: string) => new LookoutError('MODEL_DESCRIPTION_INVALID', `${source}: ${reason}`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw refuse(`not valid JSON: ${messageOf(error)}`);
  }
  const result = descriptionFile.safeParse(json);
  if (!result.success) throw refuse(z.prettifyError(result.error));
  return { source, content: result.data };
}

const stem = (file: string) => basename(file, extname(file));
