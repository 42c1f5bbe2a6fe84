/** Deletes models that were added, and nothing else. */
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
