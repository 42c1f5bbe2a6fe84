/** What the kernel says this processor can do. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Processor {
  architecture: NodeJS.Architecture;
  /** Names as in `/proc/cpuinfo`, such as `avx512_vnni`; null where it cannot be read or has none. */
  flags: ReadonlySet<string> | null;
}

let known: Processor | undefined;

/** This machine's processor, read once in each thread. */
export function thisProcessor(): Processor {
  known ??= readProcessor();
  return known;
}

/**
 * Never throws.
 * @param root folder that stands for `/`
 */
export function readProcessor(root = '/', architecture: NodeJS.Architecture = process.arch): Processor {
  try {
    const text = readFileSync(join(root, 'proc/cpuinfo'), 'utf8');
    const flags = /^flags\s*:(.*)$/m.exec(text)?.[1];
    return { architecture, flags: flags === undefined ? null : new Set(flags.trim().split(/\s+/)) };
  } catch {
    return { architecture, flags: null };
  }
}
