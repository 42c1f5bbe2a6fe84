/** Caches the choice for a model, a processor, an ONNX Runtime and a goal, so that it is not measured again. */
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Exact } from '../model/int8-kernel.ts';
import { writeWhole } from '../runtime/write-file.ts';
import type { Goal } from './choose-point.ts';

const choice = z.strictObject({
  /** As in `model.file`; null: as configured. */
  file: z.string().nullable(),
  threads: z.number().int().min(1),
  sessions: z.number().int().min(1),
  spinning: z.boolean(),
  /** As in `model.exact`; null: as configured. */
  exact: z.literal('never').nullable(),
  width: z.number().int(),
  height: z.number().int(),
  lines: z.array(z.string()),
  temperature: z.number().nullable(),
  /** ISO 8601. */
  at: z.string(),
});

/** A choice and its explanation: three lines, possibly with one about the int8 kernel. */
export type Choice = z.infer<typeof choice>;

const entries = z.record(z.string(), choice);

/** The conditions that a choice is valid for. */
export interface Circumstances {
  /** sha256 of the models that were compared. */
  models: readonly string[];
  cpu: string | null;
  cores: number;
  onnxruntime: string;
  exact: Exact;
  /** `never` may be chosen. */
  inexact: boolean;
  goal: Omit<Goal, 'maxTemperature'>;
  width: number;
  height: number;
}

export class TuneCache {
  readonly #folder: string;

  /** @param dataDir where the database is, too */
  constructor(dataDir: string) {
    this.#folder = dataDir;
  }

  async find(circumstances: Circumstances): Promise<Choice | null> {
    return (await this.#read())[keyOf(circumstances)] ?? null;
  }

  /** @throws LookoutError PROFILE_UNWRITABLE */
  async keep(circumstances: Circumstances, found: Choice): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const all = { ...(await this.#read()), [keyOf(circumstances)]: found };
    await writeWhole(this.#file, Buffer.from(`${JSON.stringify(all, null, 1)}\n`), 'PROFILE_UNWRITABLE');
  }

  get #file(): string {
    return join(this.#folder, 'tune.json');
  }

  /** A missing or damaged file counts as empty: everything in it can be measured again. */
  async #read(): Promise<Record<string, Choice>> {
    try {
      return entries.parse(JSON.parse(await readFile(this.#file, 'utf8')));
    } catch {
      return {};
    }
  }
}

function keyOf(circumstances: Circumstances): string {
  return createHash('sha256').update(JSON.stringify(circumstances)).digest('hex').slice(0, 16);
}
