/**
 * Resolves `model.file: builtin`: the package's own model in the form that fits the provider or, if the network of
 * one of the heads has been added, that network with the head.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { modelsFolder } from '../config/names.ts';
import type { ModelConfig } from '../config/schema.ts';
import { messageOf } from '../errors.ts';
import { type Proof, removeEmptyFolder, removeFile } from '../runtime/own-files.ts';
import { writeWhole } from '../runtime/write-file.ts';
import { VERSION } from '../version.ts';
import { descriptionFile } from './description.ts';
import { backboneOf, withHead } from './head.ts';
import { type AddedModel, addedModels, verifyModel } from './library.ts';
import { BUILTIN_MODEL, DESCRIPTION_KEY } from './load-model.ts';
import { decodeModel, encodeModel, metadata, type OnnxModel, setMetadata } from './onnx.ts';

/** The heads that come with the package. */
export const HEADS = resolve(import.meta.dirname, '../../models/heads');
/** Metadata entry with the name under which a network with a head was written. */
const MADE_KEY = 'lookout_made';
const TENSORRT_MODEL = BUILTIN_MODEL.replace(/\.onnx$/, '.tensorrt.onnx');

/** The file to load, and what the user should know about the choice. */
export interface Chosen {
  /** As in `model.file`. */
  file: string;
  note: { text: string; problem: boolean } | null;
  /** The added model that carries the head; null if there is none. */
  network: string | null;
}

export interface ChoiceOptions {
  /** Where added models are; absolute. */
  dataDir: string;
  heads?: string;
  tensorrt?: boolean;
}

/**
 * Replaces `builtin` with a file and returns any other model unchanged. A network with a head is built once and kept in
 * `<data_dir>/models/builtin`. If that fails, the package's own model is used, and the note says why.
 */
export async function chooseModel(
  { file, providers }: Pick<ModelConfig, 'file' | 'providers'>,
  { dataDir, heads = HEADS, tensorrt = hasTensorRt() }: ChoiceOptions,
): Promise<Chosen> {
  const plain = (chosen: string): Chosen => ({ file: chosen, note: null, network: null });
  if (file !== 'builtin') return plain(file);
  // A network with a head exists for the CPU only.
  if (tensorrt && providers[0] === 'tensorrt' && existsSync(TENSORRT_MODEL)) {
    return plain(TENSORRT_MODEL);
  }
  try {
    const found = await findHead(heads, modelsFolder(dataDir));
    if (!found) return plain(BUILTIN_MODEL);
    const { name } = found.network;
    const made = await makeOnce(found, madeFolder(dataDir));
    const text = `builtin runs the added model ${name} with the package's own head`;
    return { file: made, note: { text, problem: false }, network: name };
  } catch (error) {
    const text = `builtin runs the package's own model: cannot put its head on an added model: ${messageOf(error)}`;
    return { file: BUILTIN_MODEL, note: { text, problem: true }, network: null };
  }
}

/** The folder of networks with heads. */
export function madeFolder(dataDir: string): string {
  return join(modelsFolder(dataDir), 'builtin');
}

interface Found {
  head: OnnxModel;
  sha256: string;
  network: AddedModel;
}

/** The first head whose network has been added, under any name. */
async function findHead(heads: string, folder: string): Promise<Found | null> {
  const added = await addedModels(folder);
  if (added.length === 0) return null;
  for (const name of (await readdir(heads).catch(() => [])).filter((file) => file.endsWith('.onnx')).sort()) {
    const bytes = await readFile(join(heads, name));
    const head = decodeModel(bytes);
    const { sha256: backbone } = backboneOf(head);
    const network = added.find(({ origin }) => origin.published.sha256 === backbone);
    if (network) return { head, sha256: createHash('sha256').update(bytes).digest('hex'), network };
  }
  return null;
}

/** The file name depends on the content and on this version, so that an outdated file is never used. */
async function makeOnce({ head, sha256, network }: Found, folder: string): Promise<string> {
  const identity = JSON.stringify([sha256, network.origin.file.sha256, VERSION]);
  const name = `${createHash('sha256').update(identity).digest('hex').slice(0, 16)}.onnx`;
  const file = join(folder, name);
  if (existsSync(file)) return file;
  const { description } = await verifyModel(network);
  const model = withHead(decodeModel(await readFile(network.file)), head);
  const written = descriptionFile.parse(JSON.parse(metadata(head, DESCRIPTION_KEY) ?? '{}'));
  const own = { ...written, input: description.input, source: { file: `${network.name}.onnx`, sha256 } };
  setMetadata(model, DESCRIPTION_KEY, JSON.stringify(own));
  setMetadata(model, MADE_KEY, name);
  await mkdir(folder, { recursive: true });
  await writeWhole(file, encodeModel(model));
  for (const old of await readdir(folder)) if (old !== name) removeFile(join(folder, old), isMade);
  return file;
}

/** Deletes the networks with heads, because the network that they were built from is being removed. */
export async function removeMade(dataDir: string): Promise<void> {
  const folder = madeFolder(dataDir);
  for (const name of await readdir(folder).catch(() => [])) removeFile(join(folder, name), isMade);
  removeEmptyFolder(folder, modelsFolder(dataDir));
}

/** Proves that Lookout wrote the file: its metadata holds its own name. */
const isMade: Proof = ({ path, stats, head }) => {
  try {
    return metadata(decodeModel(head(stats.size)), MADE_KEY) === basename(path);
  } catch {
    return false;
  }
};

/** Whether ONNX Runtime has TensorRT here: it looks for that provider's library in its own folder only. */
function hasTensorRt(): boolean {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const folder = join(root, 'bin/napi-v6', process.platform, process.arch);
  return existsSync(join(folder, 'libonnxruntime_providers_tensorrt.so'));
}
