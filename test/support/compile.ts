import { spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { tempFolder } from './daemon.ts';

const libraries = new Map<string, string>();

/** Compiles a C file of test/fakes into a library for LD_PRELOAD, once in a process. @returns its path */
export function compileLibrary(name: string): string {
  const known = libraries.get(name);
  if (known !== undefined) return known;
  const source = new URL(`../fakes/${name}`, import.meta.url).pathname;
  const library = join(tempFolder(), `${basename(name, '.c')}.so`);
  const flags = ['-shared', '-fPIC', '-O2', '-Wall'];
  const { status, stderr } = spawnSync('cc', [...flags, '-o', library, source, '-ldl', '-lpthread']);
  if (status !== 0) throw new Error(`cc: ${stderr}`);
  libraries.set(name, library);
  return library;
}
