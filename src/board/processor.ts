/** Features of the processor, from the kernel. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LookoutError } from '../errors.ts';

export interface Processor {
  architecture: NodeJS.Architecture;
  /** Names as in `/proc/cpuinfo`, such as `avx512_vnni`; null if it is unreadable or has no flags. */
  flags: ReadonlySet<string> | null;
}

let known: Processor | undefined;

/** This machine's processor, read once in each thread. */
export function thisProcessor(): Processor {
  known ??= readProcessor();
  return known;
}

/** Features of x86-64-v2 beyond the baseline: libvips and WebAssembly SIMD need them. */
const NEEDED = ['ssse3', 'sse4_1', 'sse4_2', 'popcnt'];

/** @throws LookoutError SYSTEM_UNSUPPORTED if this processor cannot decode images and resize frames */
export function requireProcessor({ architecture, flags }: Processor = thisProcessor()): void {
  if (architecture !== 'x64' || !flags) return;
  const missing = NEEDED.filter((flag) => !flags.has(flag));
  if (missing.length === 0) return;
  throw new LookoutError(
    'SYSTEM_UNSUPPORTED',
    `this processor is too old: expected ${NEEDED.join(', ')} (x86-64-v2), found no ${missing.join(', ')}`,
    {
      hint: 'Use an Intel processor since Nehalem (2009) or Silvermont (2013), or an AMD processor since Bulldozer (2011) or Jaguar (2013).',
    },
  );
}

/**
 * Never throws.
 * @param root folder that replaces `/`
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
