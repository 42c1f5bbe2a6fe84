import { readFileSync } from 'node:fs';
import { compileLibrary } from './compile.ts';
import { requires } from './requires.ts';

/** Flags of x86 processors on which ONNX Runtime's kernels for bytes add in 32 bits. */
const EXACT = ['avx512_vnni', 'avx_vnni', 'amx_int8'];

/** A flag of this machine's processor, as the kernel names it. */
function has(flag: string): boolean {
  return new RegExp(`^flags\\s*:.*\\b${flag}\\b`, 'm').test(readFileSync('/proc/cpuinfo', 'utf8'));
}

/** Whether this machine's processor is one that is not exact by itself: x86 without VNNI and AMX. */
export function isModest(): boolean {
  return process.arch === 'x64' && !EXACT.some(has);
}

/**
 * The `skip` option of a test that needs such a processor, or one that can act like it: false, or the reason. AMD's
 * that have VNNI cannot, nor can ARM: their instructions tell what they can without asking the kernel.
 */
export function requiresModestProcessor(): string | false {
  if (isModest()) return false;
  if (process.arch !== 'x64') return 'needs an x86 processor';
  return has('cpuid_fault')
    ? requires('cc')
    : 'needs a processor without VNNI, or one that can hide it (cpuid_fault)';
}

/** The environment in which a process, its threads and its children find an x86 processor with AVX2 and no more. */
export function modestProcessor(): NodeJS.ProcessEnv {
  return isModest() ? {} : { LD_PRELOAD: compileLibrary('modest-processor.c') };
}
