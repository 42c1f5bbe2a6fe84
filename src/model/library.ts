/**
 * The models that were added: one folder each below `<data_dir>/models`, holding `NAME.onnx`, perhaps its
 * description (`NAME.json`), and `origin.json`, which says where it came from.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { addedFileIn, isModelName } from '../config/model-file.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { discard } from '../modelkit/download.ts';
import {
  isProven,
  type Proof,
  removeEmptyFolder,
  removeFile,
  removeLeftFolder,
} from '../runtime/own-files.ts';
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

export interface RemovedModel {
  /** Whether there was anything to delete. */
  found: boolean;
  /** What stays in the folder of the model because `add` did not write it. */
  left: string[];
}

/**
 * Deletes a model, and what an unfinished `add` of it has left: only the files that `add` wrote, as it wrote them.
 * @param changed deletes the files of those names also if they were changed since
 * @throws LookoutError MODEL_CHECKSUM and deletes nothing, if they were changed and that is not wanted
 */
export async function removeModel(folder: string, name: string, changed = false): Promise<RemovedModel> {
  const home = join(folder, name);
  const written = await filesOf(folder, name, changed);
  const strangers = changed
    ? []
    : written.filter(({ path, proof }) => existsSync(path) && !isProven(path, proof));
  if (strangers[0]) {
    throw new LookoutError(
      'MODEL_CHECKSUM',
      `${strangers[0].path} is not the file that was added: it stays`,
      {
        hint: `\`lookout model remove ${name} --force\` deletes it nevertheless.`,
      },
    );
  }
  let found = false;
  for (const { path, proof } of written) {
    if (removeFile(path, changed ? () => true : proof, folder) === 'removed') found = true;
  }
  const left = (await readdir(home).catch(() => [])).map((file) => join(home, file));
  if (removeEmptyFolder(home, folder)) found = true;
  for (const stage of await readdir(folder).catch(() => [])) {
    if (stage.startsWith(stagePrefix(name)) && (await removeLeftFolder(join(folder, stage)))) found = true;
  }
  if (discard(partialFile(folder, name))) found = true;
  return { found, left };
}

/** The files of an added model, each with the proof that it is as it was written. */
async function filesOf(
  folder: string,
  name: string,
  damaged: boolean,
): Promise<{ path: string; proof: Proof }[]> {
  const model = await addedModel(folder, name).catch((error: unknown) => {
    if (damaged) return null;
    throw error;
  });
  const file = addedFileIn(folder, name);
  const record = { path: join(folder, name, ORIGIN_FILE), proof: () => model !== null };
  if (!model && !damaged) return [];
  return [
    { path: file, proof: hasFingerprint(model?.origin.file) },
    { path: descriptionBeside(file), proof: hasFingerprint(model?.origin.description ?? undefined) },
    // Last, so that what is left after a fault can still be proven.
    record,
  ];
}

/** The proof for a file that is still as it was when its size and checksum were taken. */
function hasFingerprint(known: Fingerprint | undefined): Proof {
  return ({ stats, head }) =>
    known !== undefined &&
    stats.size === known.bytes &&
    createHash('sha256').update(head(stats.size)).digest('hex') === known.sha256;
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
