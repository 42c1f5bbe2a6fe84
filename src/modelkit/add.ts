/**
 * Adds a model to the library:
 *
 *   download or copy → checksum → import (.tflite) or check (.onnx) → trial run → one rename
 *
 * The model is prepared in a temporary folder next to its final place. The folder is always deleted; only an unfinished
 * download is kept.
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

/** The model to add. */
export interface AddRequest {
  name: string;
  /** Its name and entry in the catalogue; null for a model that is named by its URL. */
  catalogue: { name: string; entry: CatalogueEntry } | null;
  url: string;
  /** In hex. */
  sha256: string;
  /** Copy of the published file to use instead of a download. */
  from?: string | undefined;
  /** Labels file to use instead of the published one. */
  labels?: string | undefined;
  /** Description (.json) for an .onnx file without its own. */
  description?: string | undefined;
}

export interface Added extends AddedModel {
  description: ModelDescription;
  trial: Trial;
}

const MAX_MODEL_BYTES = 256 * 1024 * 1024;
const MAX_LABEL_BYTES = 4 * 1024 * 1024;

/**
 * @param folder see `modelsFolder`; created if necessary
 * @throws LookoutError MODEL_*; only a partial download is left then
 */
export async function addModel(
  folder: string,
  request: AddRequest,
  options: DownloadOptions = {},
): Promise<Added> {
  const { name } = request;
  if (await addedModel(folder, name)) {
    throw new LookoutError('MODEL_EXISTS', `another model is already added as ${name}`, {
      hint: `Run \`lookout model remove ${name}\` first, or choose another name with --name.`,
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
    const published = await obtain(folder, source, request, options);
    const labels = await obtainLabels(stage, request, options);
    const made = (await isTflite(source, request.url))
      ? await importTflite({ file: source, out, labels })
      : await takeOnnx(source, out, labels, published, request);
    const { description, trial } = made;
    const origin: Origin = {
      catalogue: request.catalogue?.name ?? null,
      url: withoutSecrets(request.url),
      published,
      file: await fingerprintOf(out),
      description: await fingerprintOf(descriptionBeside(out)).catch(() => null),
      licence: request.catalogue?.entry.licence ?? description.licence,
      addedAt: new Date().toISOString(),
    };
    const record = `${JSON.stringify(origin, null, 2)}\n`;
    await writeFile(join(stage, name, ORIGIN_FILE), record, { flush: true });
    await rename(join(stage, name), join(folder, name));
    return { name, file: addedFileIn(folder, name), origin, description, trial };
  } catch (error) {
    throw explained(error, folder, [source, out], request.from ?? redact(request.url));
  } finally {
    await removeFolder(stage).catch(() => {});
  }
}

/** Downloads or copies the published file to `target`. */
async function obtain(
  folder: string,
  target: string,
  { name, url, sha256, from, catalogue }: AddRequest,
  options: DownloadOptions,
): Promise<Fingerprint> {
  if (from === undefined) {
    const partial = partialFile(folder, name);
    const bytes = catalogue?.entry.file.bytes ?? null;
    await download(url, { partial, to: target }, { bytes, most: MAX_MODEL_BYTES }, options);
  } else {
    await mustBeReadable(from);
    await copyFile(from, target);
  }
  const found = await fingerprintOf(target);
  checkSum(from ?? redact(url), found, sha256);
  return found;
}

/** The model's labels file; undefined if there are no labels but its own. */
async function obtainLabels(
  stage: string,
  { catalogue, from, labels }: AddRequest,
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
    await download(url, places, { bytes: null, most: MAX_LABEL_BYTES }, quiet);
  } else {
    source = join(dirname(from), basename(new URL(url).pathname));
    await mustBeReadable(
      source,
      `The labels are published at ${url}: save them as this file, or name your copy with --labels.`,
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
  { name, url, catalogue, description: named }: AddRequest,
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
  const { description } = await loadModel({ file: out, description: described, labels }, '/', {
    task: 'any',
  });
  const bytes = await readFile(out);
  if (described || labels) {
    if (metadata(decodeModel(bytes), DESCRIPTION_KEY) !== undefined) {
      throw new LookoutError('USAGE', `${redact(url)} has its own description and labels`, {
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
    { hint: 'The file is not the published one and was not added. Get it again, or check --sha256.' },
  );
}

async function mustBeReadable(file: string, hint?: string): Promise<void> {
  try {
    const handle = await open(file);
    const kind = await handle.stat().finally(() => handle.close());
    if (!kind.isFile()) throw new Error('it is not a regular file');
  } catch (cause) {
    throw new LookoutError('MODEL_MISSING', `cannot read ${file}: ${messageOf(cause)}`, { cause, hint });
  }
}

/** Checks for the mark of TensorFlow Lite, for that of a ZIP archive (which the import explains), and for the file name. */
async function isTflite(file: string, url: string): Promise<boolean> {
  const handle = await open(file);
  const { buffer } = await handle.read(Buffer.alloc(8), 0, 8, 0).finally(() => handle.close());
  const mark = buffer.toString('latin1');
  return mark.startsWith('TFL3', 4) || mark.startsWith('PK') || /\.tflite$/i.test(new URL(url).pathname);
}

/** Removes the secrets from a URL, so that it can be stored and shown. */
function withoutSecrets(address: string): string {
  const url = new URL(address);
  url.username = '';
  url.password = '';
  return redactLogin(url.href);
}

/** Names the user's file instead of the working copies, and gives system errors a code. */
function explained(error: unknown, folder: string, working: string[], known: string): unknown {
  if (error instanceof LookoutError) {
    const { code, hint, cause } = error;
    const message = working
      .filter(Boolean)
      .reduce((text, path) => text.replaceAll(path, known), error.message);
    return new LookoutError(code, message, { hint, cause });
  }
  if (!isSystemError(error)) return error;
  return new LookoutError('MODEL_WRITE_FAILED', `cannot write to ${folder}: ${error.message}`, {
    cause: error,
  });
}
