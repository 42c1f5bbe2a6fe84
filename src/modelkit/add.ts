/**
 * Adds a model to the library:
 *
 *   download or copy → checksum → import (.tflite) or check (.onnx) → trial run → one rename
 *
 * Everything is made in a folder beside the final place, which is deleted whatever happens; only an unfinished
 * download stays.
 */
import { copyFile, mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { addedFileIn } from '../config/names.ts';
import { isSystemError, LookoutError, messageOf } from '../errors.ts';
import type { DescriptionFile, ModelDescription } from '../model/description.ts';
import { parseLabels } from '../model/label-file.ts';
import {
  type AddedModel,
  addedModel,
  descriptionBeside,
  type Fingerprint,
  fingerprintOf,
  ORIGIN_FILE,
  type Origin,
  partialFile,
  stagePrefix,
} from '../model/library.ts';
import { DESCRIPTION_KEY, loadModel } from '../model/load-model.ts';
import { decodeModel, metadata } from '../model/onnx.ts';
import { makeNotedFolder, removeFolder } from '../runtime/own-files.ts';
import { redact, redactLogin } from '../runtime/secrets.ts';
import { readText } from '../runtime/text-file.ts';
import type { CatalogueEntry } from './catalogue.ts';
import { type DownloadOptions, download } from './download.ts';
import { importTflite } from './import.ts';
import { type Trial, tryModel } from './trial.ts';

/** What to add. */
export interface Wanted {
  name: string;
  /** What the catalogue says about it, under which name; null for a model that is named by its address. */
  catalogue: { name: string; entry: CatalogueEntry } | null;
  url: string;
  /** In hex. */
  sha256: string;
  /** A copy of the published file, instead of a download. */
  from?: string | undefined;
  /** Labels file, instead of the published one. */
  labels?: string | undefined;
  /** Description (.json) for an .onnx file that says nothing about itself. */
  description?: string | undefined;
}

export interface Added extends AddedModel {
  description: ModelDescription;
  trial: Trial;
}

const MOST_MODEL_BYTES = 256 * 1024 * 1024;
const MOST_LABEL_BYTES = 4 * 1024 * 1024;

/**
 * @param folder see `modelsFolder`; created if need be
 * @throws LookoutError MODEL_*; then nothing is left behind except a partial download
 */
export async function addModel(
  folder: string,
  wanted: Wanted,
  options: DownloadOptions = {},
): Promise<Added> {
  const { name } = wanted;
  if (await addedModel(folder, name)) {
    throw new LookoutError('MODEL_EXISTS', `another model has been added as ${name}`, {
      hint: `\`lookout model remove ${name}\` first, or choose another name with --name.`,
    });
  }
  let stage = join(folder, stagePrefix(name));
  let source = '';
  let out = '';
  try {
    await mkdir(folder, { recursive: true });
    stage = await makeNotedFolder(stage);
    source = join(stage, `${name}.tflite`);
    out = addedFileIn(stage, name);
    await mkdir(join(stage, name));
    const published = await obtain(folder, source, wanted, options);
    const labels = await obtainLabels(stage, wanted, options);
    const made = (await isTflite(source, wanted.url))
      ? await importTflite({ file: source, out, labels })
      : await takeOnnx(source, out, labels, published, wanted);
    const { description, trial } = made;
    const origin: Origin = {
      catalogue: wanted.catalogue?.name ?? null,
      url: withoutSecrets(wanted.url),
      published,
      file: await fingerprintOf(out),
      description: await fingerprintOf(descriptionBeside(out)).catch(() => null),
      licence: wanted.catalogue?.entry.licence ?? description.licence,
      addedAt: new Date().toISOString(),
    };
    const record = `${JSON.stringify(origin, null, 2)}\n`;
    await writeFile(join(stage, name, ORIGIN_FILE), record, { flush: true });
    await rename(join(stage, name), join(folder, name));
    return { name, file: addedFileIn(folder, name), origin, description, trial };
  } catch (error) {
    throw explained(error, folder, [source, out], wanted.from ?? redact(wanted.url));
  } finally {
    await removeFolder(stage).catch(() => {});
  }
}

/** Brings the published file to `target`. */
async function obtain(
  folder: string,
  target: string,
  { name, url, sha256, from, catalogue }: Wanted,
  options: DownloadOptions,
): Promise<Fingerprint> {
  if (from === undefined) {
    const partial = partialFile(folder, name);
    const bytes = catalogue?.entry.file.bytes ?? null;
    await download(url, { partial, to: target }, { bytes, most: MOST_MODEL_BYTES }, options);
  } else {
    await mustBeReadable(from);
    await copyFile(from, target);
  }
  const found = await fingerprintOf(target);
  checkSum(from ?? redact(url), found, sha256);
  return found;
}

/** The labels file that goes with the model; undefined if its own labels are all there is. */
async function obtainLabels(
  stage: string,
  { catalogue, from, labels }: Wanted,
  options: DownloadOptions,
): Promise<string | undefined> {
  if (labels !== undefined || !catalogue) return labels;
  const { url, sha256, skip } = catalogue.entry.labels;
  const file = join(stage, 'labels.txt');
  let source = url;
  if (from === undefined) {
    const { wait, onRetry, idleMs } = options;
    const quiet = { ...(wait && { wait }), ...(onRetry && { onRetry }), ...(idleMs && { idleMs }) };
    const places = { partial: `${file}.part`, to: file };
    await download(url, places, { bytes: null, most: MOST_LABEL_BYTES }, quiet);
  } else {
    source = join(dirname(from), basename(new URL(url).pathname));
    await mustBeReadable(
      source,
      `Its labels are published as ${url}: put them there, or name them with --labels.`,
    );
    await copyFile(source, file);
  }
  if (sha256) checkSum(source, await fingerprintOf(file), sha256);
  const known = parseLabels(await readText(file));
  await writeFile(file, known.slice(skip).join('\n'));
  return file;
}

async function takeOnnx(
  source: string,
  out: string,
  labels: string | undefined,
  { sha256 }: Fingerprint,
  { name, url, catalogue, description: named }: Wanted,
): Promise<{ description: ModelDescription; trial: Trial }> {
  await rename(source, out);
  let described = named;
  if (!named && catalogue?.entry.description) {
    const { entry } = catalogue;
    described = join(dirname(source), 'description.json');
    const content: DescriptionFile = {
      ...entry.description!,
      name,
      licence: entry.licence,
      source: { file: basename(new URL(url).pathname), sha256 },
    };
    await writeFile(described, JSON.stringify(content));
  }
  const { description } = await loadModel({ file: out, description: described, labels }, '/');
  const bytes = await readFile(out);
  if (described || labels) {
    if (metadata(decodeModel(bytes), DESCRIPTION_KEY) !== undefined) {
      throw new LookoutError('USAGE', `${redact(url)} carries its own description and labels`, {
        hint: 'Add it without --labels and --description; `model.labels` in the configuration renames labels.',
      });
    }
    await writeFile(descriptionBeside(out), JSON.stringify(description), { flush: true });
  }
  return { description, trial: await tryModel(bytes, description) };
}

function checkSum(what: string, found: Fingerprint, expected: string): void {
  if (found.sha256 === expected) return;
  throw new LookoutError(
    'MODEL_CHECKSUM',
    `${what}: expected sha256 ${expected}, found ${found.sha256} (${found.bytes} bytes)`,
    { hint: 'This is not the published file; it was not used.' },
  );
}

async function mustBeReadable(file: string, hint?: string): Promise<void> {
  try {
    const handle = await open(file);
    const kind = await handle.stat().finally(() => handle.close());
    if (!kind.isFile()) throw new Error('it is no file');
  } catch (cause) {
    throw new LookoutError('MODEL_MISSING', `${file} cannot be read: ${messageOf(cause)}`, { cause, hint });
  }
}

/** By its mark (or that of a ZIP archive, which the import explains), or where that is damaged by its name. */
async function isTflite(file: string, url: string): Promise<boolean> {
  const handle = await open(file);
  const { buffer } = await handle.read(Buffer.alloc(8), 0, 8, 0).finally(() => handle.close());
  const mark = buffer.toString('latin1');
  return mark.startsWith('TFL3', 4) || mark.startsWith('PK') || /\.tflite$/i.test(new URL(url).pathname);
}

/** The address as it may be kept and shown. */
function withoutSecrets(address: string): string {
  const url = new URL(address);
  url.username = '';
  url.password = '';
  return redactLogin(url.href);
}

/** Names the file that the user knows instead of our working copies, and gives system errors a code. */
function explained(error: unknown, folder: string, working: string[], known: string): unknown {
  if (error instanceof LookoutError) {
    const { code, hint, cause } = error;
    const message = working
      .filter(Boolean)
      .reduce((text, path) => text.replaceAll(path, known), error.message);
    return new LookoutError(code, message, { hint, cause });
  }
  if (!isSystemError(error)) return error;
  return new LookoutError('MODEL_WRITE_FAILED', `${folder} cannot be written: ${error.message}`, {
    cause: error,
  });
}
