/**
 * The added models: one folder each below `<data_dir>/models` with `NAME.onnx`, possibly its description
 * (`NAME.json`), and its origin (`origin.json`).
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { addedFileIn, isModelName } from '../config/names.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { type LoadedModel, loadModel } from './load-model.ts';

const fingerprint = z.strictObject({ bytes: z.number(), sha256: z.string() });

const origin = z.strictObject({
  /** Name in the catalogue; null for a model that was added by its URL. */
  catalogue: z.string().nullable(),
  url: z.string(),
  /** The published file. */
  published: fingerprint,
  /** The file that was made from it and that Lookout runs. */
  file: fingerprint,
  /** The description next to it; null or missing if there is none. */
  description: fingerprint.nullable().optional(),
  licence: z.string().nullable(),
  /** ISO 8601. */
  addedAt: z.string(),
});

export const ORIGIN_FILE = 'origin.json';

/** Where an added model came from. */
export type Origin = z.infer<typeof origin>;
export type Fingerprint = z.infer<typeof fingerprint>;

export interface AddedModel {
  name: string;
  file: string;
  origin: Origin;
}

/** @param folder see `modelsFolder` */
export async function addedModels(folder: string): Promise<AddedModel[]> {
  const names = await readdir(folder).catch(() => []);
  const models = await Promise.all(names.filter(isModelName).map((name) => addedModel(folder, name)));
  return models.filter((model) => model !== null).sort((a, b) => a.name.localeCompare(b.name));
}

export async function addedModel(folder: string, name: string): Promise<AddedModel | null> {
  const home = join(folder, name);
  const text = await readFile(join(home, ORIGIN_FILE), 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return { name, file: addedFileIn(folder, name), origin: origin.parse(JSON.parse(text)) };
  } catch (cause) {
    throw new LookoutError('MODEL_CORRUPT', `${join(home, ORIGIN_FILE)} is damaged: ${messageOf(cause)}`, {
      cause,
      hint: `Run \`lookout model remove ${name} --force\`, and add the model again.`,
    });
  }
}

/**
 * Reads the complete file again and checks that it is valid and still the file that was added.
 * @throws LookoutError MODEL_*
 */
export async function verifyModel({ name, file, origin }: AddedModel): Promise<LoadedModel> {
  const loaded = await loadModel({ file }, '/', { task: 'any' });
  if (loaded.sha256 !== origin.file.sha256) {
    throw new LookoutError(
      'MODEL_CHECKSUM',
      `${file}: expected sha256 ${origin.file.sha256}, found ${loaded.sha256}`,
      {
        hint: `The file has changed since it was added. Run \`lookout model remove ${name} --force\`, and add the model again.`,
      },
    );
  }
  return loaded;
}

/** The file of an unfinished download. */
export function partialFile(folder: string, name: string): string {
  return join(folder, `${name}.part`);
}

/** Name prefix of the folder in which a model is prepared; only an `add` that was killed leaves one behind. */
export function stagePrefix(name: string): string {
  return `.${name}.adding-`;
}

/** Where `add` writes the description of a model without its own. */
export function descriptionBeside(file: string): string {
  return file.replace(/\.onnx$/, '.json');
}

/** Size and sha256 of a file. */
export async function fingerprintOf(file: string): Promise<Fingerprint> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}
