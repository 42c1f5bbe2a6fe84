/**
 * The models that were added: one folder each below `<data_dir>/models`, holding `NAME.onnx`, perhaps its
 * description (`NAME.json`), and `origin.json`, which says where it came from.
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
  /** Name in the catalogue; null for a model that was added by its address. */
  catalogue: z.string().nullable(),
  url: z.string(),
  /** The published file. */
  published: fingerprint,
  /** The file that was made from it and runs here. */
  file: fingerprint,
  /** The description beside it; null or missing where there is none. */
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
      hint: `\`lookout model remove ${name} --force\` and add it again.`,
    });
  }
}

/**
 * Reads the whole file again and checks that it is still what was added, and sound.
 * @throws LookoutError MODEL_*
 */
export async function verifyModel({ name, file, origin }: AddedModel): Promise<LoadedModel> {
  const loaded = await loadModel({ file }, '/');
  if (loaded.sha256 !== origin.file.sha256) {
    throw new LookoutError(
      'MODEL_CHECKSUM',
      `${file}: expected sha256 ${origin.file.sha256}, found ${loaded.sha256}`,
      {
        hint: `The file was changed since it was added. \`lookout model remove ${name} --force\` and add it again.`,
      },
    );
  }
  return loaded;
}

/** Where the download of a model waits until it is complete. */
export function partialFile(folder: string, name: string): string {
  return join(folder, `${name}.part`);
}

/** How the name of the folder starts in which a model is made ready; only a killed `add` leaves one behind. */
export function stagePrefix(name: string): string {
  return `.${name}.adding-`;
}

/** Where `add` puts the description of a model that carries none. */
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
