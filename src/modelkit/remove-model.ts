/** Deletes added models, and nothing else. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { addedFileIn } from '../config/names.ts';
import { LookoutError } from '../errors.ts';
import {
  addedModel,
  descriptionBeside,
  type Fingerprint,
  ORIGIN_FILE,
  partialFile,
  stagePrefix,
} from '../model/library.ts';
import {
  isProven,
  type Proof,
  removeEmptyFolder,
  removeFile,
  removeLeftFolder,
} from '../runtime/own-files.ts';
import { discard } from './download.ts';

export interface RemovedModel {
  /** Whether there was anything to delete. */
  found: boolean;
  /** Files in the model's folder that are kept because `add` did not write them. */
  left: string[];
}

/**
 * Deletes a model and the remains of an unfinished `add`: only files that `add` wrote and that have not changed since.
 * @param changed also deletes files that have changed
 * @throws LookoutError MODEL_CHECKSUM, and deletes nothing, if files have changed and `changed` is false
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
      `${strangers[0].path} is not the file that was added and is kept`,
      {
        hint: `Run \`lookout model remove ${name} --force\` to delete it anyway.`,
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

/** The files of an added model, each with the proof that it has not changed. */
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
    // Deleted last, because it proves the other files after a failure.
    record,
  ];
}

/** Proves that a file still has the recorded size and checksum. */
function hasFingerprint(known: Fingerprint | undefined): Proof {
  return ({ stats, head }) =>
    known !== undefined &&
    stats.size === known.bytes &&
    createHash('sha256').update(head(stats.size)).digest('hex') === known.sha256;
}
