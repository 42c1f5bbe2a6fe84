import { readFileSync } from 'node:fs';
import { compileLibrary } from './compile.ts';
import { requires } from './requires.ts';

/** Flags of x86 processors on which ONNX Runtime's kernels for bytes add in 32 bits. */
const EXACT = ['avx512_vnni', 'avx_vnni', 'amx_int8'];

/** A flag of this machine's processor, as the kernel names it. */
function has(flag: string): boolean {
  return new RegExp(`^flags\\s*:.*\\b${flag}\\b`, 'm').test(readFileSync('/proc/cpuinfo', 'utf8'));
}

/** Whether this machine's processor is x86 without VNNI and AMX, on which sums of bytes are not exact. */
export function lacksVnni(): boolean {
  return process.arch === 'x64' && !EXACT.some(has);
}

/**
 * The `skip` option of a test that needs such a processor, or one that can hide VNNI: false, or the reason. AMD
 * processors with VNNI and ARM processors cannot hide it: their instructions report features without the kernel.
 */
export function requiresVnniSwitch(): string | false {
  if (lacksVnni()) return false;
  if (process.arch !== 'x64') return 'needs an x86 processor';
  return has('cpuid_fault')
    ? requires('cc')
    : 'needs a processor without VNNI, or one that can hide it (cpuid_fault)';
}

/** The environment that hides VNNI: a process, its threads and its children find an x86 processor with AVX2 only. */
export function withoutVnni(): NodeJS.ProcessEnv {
  return lacksVnni() ? {} : { LD_PRELOAD: compileLibrary('processor-without-vnni.c') };
}
