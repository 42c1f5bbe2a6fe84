/** Reads the machine and software that a report is made with. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, availableParallelism, hostname, loadavg } from 'node:os';
import { join } from 'node:path';
import { readBoard } from '../board/board.ts';
import { findPowerSource } from '../board/energy.ts';
import { readFrequency } from '../board/frequency.ts';
import { VERSION } from '../version.ts';
import type { Provenance } from './profile-types.ts';

/** @param root folder that stands for `/` */
export async function readProvenance(root = '/'): Promise<Provenance> {
  const [board, frequency, power, mode] = await Promise.all([
    readBoard({ root }),
    readFrequency(root),
    findPowerSource(root),
    powerMode(root),
  ]);
  const { model, cpu, memory_mb, kernel, os } = board;
  return {
    lookout: VERSION,
    node: process.version.slice(1),
    onnxruntime: onnxruntimeVersion(),
    at: new Date().toISOString(),
    host: hostname(),
    board: model,
    cpu,
    cores: availableParallelism(),
    architecture: arch(),
    memory_mb,
    kernel,
    os,
    governor: frequency.governor,
    limit_mhz: frequency.limit_mhz,
    power_mode: mode,
    power_source: power?.name ?? null,
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

export function onnxruntimeVersion(): string {
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  return version;
}

/** The last setting of `nvpmodel`: `pmode:0001 fmode:…` (Jetson Linux Developer Guide). */
async function powerMode(root: string): Promise<string | null> {
  const status = await readFile(join(root, 'var/lib/nvpmodel/status'), 'utf8').catch(() => '');
  const number = /pmode:(\d+)/.exec(status)?.[1];
  if (number === undefined) return null;
  const modes = await readFile(join(root, 'etc/nvpmodel.conf'), 'utf8').catch(() => '');
  const pattern = new RegExp(`<\\s*POWER_MODEL\\s+ID=${Number(number)}\\s+NAME=(\\S+?)\\s*>`);
  return pattern.exec(modes)?.[1] ?? `mode ${Number(number)}`;
}
