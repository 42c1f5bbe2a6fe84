/** Keeps models that were made exact, so that a restart does not have to make them again. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelConfig } from '../../config/schema.ts';
import { isProven, type Proof, removeFile } from '../../runtime/own-files.ts';
import { writeWhole } from '../../runtime/write-file.ts';
import { int8Kernel } from '../int8-kernel.ts';
import type { LoadedModel } from '../load-model.ts';
import { exactModel } from './make-exact.ts';

/** Version of the conversion: files of another version are made again. */
const CONVERSION_VERSION = 1;

type Model = Pick<LoadedModel, 'file' | 'sha256'> & { config: Pick<ModelConfig, 'exact'> };

export function exactFolder(dataDir: string): string {
  return join(dataDir, 'exact');
}

/** The digest in the file name proves that Lookout wrote the file and that it is complete. */
const NAME = /-(?<digest>[0-9a-f]{16})\.onnx$/;
const isKept: Proof = ({ path, stats, head }) =>
  NAME.exec(path)?.groups?.digest === digestOf(head(stats.size));

/**
 * Makes the missing files and deletes those of other models.
 * @returns the exact file of each model; null if it needs none, cannot have one, or the file cannot be written
 */
export async function keepExact(models: readonly Model[], folder: string): Promise<(string | null)[]> {
  const files: (string | null)[] = [];
  for (const model of models) files.push(await keepOne(model, folder).catch(() => null));
  for (const name of await listFolder(folder)) {
    const file = join(folder, name);
    if (!files.includes(file)) removeFile(file, isKept, folder);
  }
  return files;
}

async function keepOne({ file, sha256, config }: Model, folder: string): Promise<string | null> {
  if (int8Kernel(config.exact).name !== 'exact') return null;
  const identity = digestOf(`${CONVERSION_VERSION} ${sha256}`);
  const named = (await listFolder(folder)).filter((name) => name.startsWith(`${identity}-`));
  const kept = named.map((name) => join(folder, name)).find((path) => isProven(path, isKept));
  if (kept) return kept;
  const exact = exactModel(await readFile(file));
  if (!exact) return null;
  await mkdir(folder, { recursive: true });
  const made = join(folder, `${identity}-${digestOf(exact)}.onnx`);
  await writeWhole(made, exact);
  return made;
}

const listFolder = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);

function digestOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 16);
}
