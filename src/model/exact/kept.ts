/** Models that were made exact are kept, so that a start need not make them again. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelConfig } from '../../config/schema.ts';
import { int8Kernel } from '../kernel.ts';
import type { LoadedModel } from '../load.ts';
import { writeWhole } from '../write.ts';
import { exactModel } from './exact.ts';

/** Counts the ways in which models are made exact: what was made in another way is made again. */
const WAY = 1;

type Model = Pick<LoadedModel, 'file' | 'sha256'> & { config: Pick<ModelConfig, 'exact'> };

export function exactFolder(dataDir: string): string {
  return join(dataDir, 'exact');
}

/**
 * Makes the files that do not exist yet, and deletes those of other models.
 * @param folder for nothing else
 * @returns for each model its exact file; null where it needs none, cannot have one, or there is no place for it
 */
export async function keepExact(models: readonly Model[], folder: string): Promise<(string | null)[]> {
  const files: (string | null)[] = [];
  for (const model of models) files.push(await keepOne(model, folder).catch(() => null));
  for (const name of await readdir(folder).catch(() => [])) {
    const file = join(folder, name);
    if (!files.includes(file)) await rm(file, { force: true }).catch(() => {});
  }
  return files;
}

async function keepOne({ file, sha256, config }: Model, folder: string): Promise<string | null> {
  if (int8Kernel(config.exact).name !== 'exact') return null;
  const identity = createHash('sha256').update(`${WAY} ${sha256}`).digest('hex').slice(0, 16);
  const kept = join(folder, `${identity}.onnx`);
  if (existsSync(kept)) return kept;
  const exact = exactModel(await readFile(file));
  if (!exact) return null;
  await mkdir(folder, { recursive: true });
  await writeWhole(kept, exact);
  return kept;
}
