/** Models that were made exact are kept, so that a start need not make them again. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelConfig } from '../../config/schema.ts';
import { isProven, type Proof, removeFile } from '../../runtime/own-files.ts';
import { writeWhole } from '../../runtime/write-file.ts';
import { int8Kernel } from '../int8-kernel.ts';
import type { LoadedModel } from '../load-model.ts';
import { exactModel } from './make-exact.ts';

/** Counts the ways in which models are made exact: what was made in another way is made again. */
const WAY = 1;

type Model = Pick<LoadedModel, 'file' | 'sha256'> & { config: Pick<ModelConfig, 'exact'> };

export function exactFolder(dataDir: string): string {
  return join(dataDir, 'exact');
}

/** What a file's name says of its content shows that Lookout wrote it, and that it is whole. */
const NAME = /-(?<digest>[0-9a-f]{16})\.onnx$/;
const isKept: Proof = ({ path, stats, head }) =>
  NAME.exec(path)?.groups?.digest === digestOf(head(stats.size));

/**
 * Makes the files that do not exist yet, and deletes those that were made of other models.
 * @returns for each model its exact file; null where it needs none, cannot have one, or there is no place for it
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
  const identity = digestOf(`${WAY} ${sha256}`);
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
