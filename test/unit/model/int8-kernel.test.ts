import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { readProcessor } from '../../../src/board/processor.ts';
import { describeKernel, type Exact, int8Kernel } from '../../../src/model/int8-kernel.ts';
import { plant } from '../../fakes/boards.ts';

const AVX2 = 'fpu sse4_2 fma avx avx2';
const AVX512 = `${AVX2} avx512f avx512dq avx512bw avx512vl`;

/** The int8 kernel for a processor with these `flags` in /proc/cpuinfo; null: the file is missing. */
function kernelOf(
  flags: string | null,
  exact: Exact = 'auto',
  architecture: NodeJS.Architecture = 'x64',
): string {
  const text = `processor\t: 0\nflags\t\t: ${flags}\n\nprocessor\t: 1\nflags\t\t: ${flags}\n`;
  const root = plant(flags === null ? {} : { 'proc/cpuinfo': text });
  const kernel = int8Kernel(exact, readProcessor(root, architecture));
  rmSync(root, { recursive: true });
  return describeKernel(kernel);
}

test('an x86 processor with AVX2 and without VNNI gets the exact kernel', () => {
  assert.equal(kernelOf(AVX2), 'exact int8 kernel: this processor lacks VNNI');
  assert.equal(kernelOf(AVX512), 'exact int8 kernel: this processor lacks VNNI');
});

test('with VNNI nothing changes', () => {
  const standard = 'standard int8 kernel: exact here, because this processor has VNNI';
  assert.equal(kernelOf(`${AVX2} avx_vnni`), standard);
  assert.equal(kernelOf(`${AVX512} avx512_vnni`), standard);
  assert.equal(kernelOf(`${AVX512} avx_vnni avx512_vnni amx_tile amx_int8`), standard);
  assert.equal(kernelOf(`${AVX512} avx512_vnni`, 'never'), standard);
});

test('a virtual machine that hides the VNNI of AVX-512 alone gets the exact kernel', () => {
  for (const flags of [`${AVX512} avx_vnni`, `${AVX512} amx_tile amx_int8`]) {
    assert.match(kernelOf(flags), /^exact/);
  }
});

test('processors before AVX2 and other architectures keep the standard kernel', () => {
  assert.match(kernelOf('fpu sse4_2 avx'), /^standard .* lacks AVX2$/);
  assert.match(kernelOf('fpu sse4_2', 'never'), /^standard/);
  assert.match(kernelOf('fpu sse4_2', 'always'), /^standard/);
  assert.match(kernelOf(null, 'auto', 'arm64'), /^standard .* is arm64$/);
  assert.match(kernelOf(null, 'always', 'arm64'), /^standard/);
});

test('without /proc/cpuinfo the exact kernel is the safe choice', () => {
  assert.equal(kernelOf(null), 'exact int8 kernel: the features of this processor are unknown');
});

test('model.exact overrides the choice', () => {
  assert.match(kernelOf(AVX2, 'never'), /^saturating int8 kernel: model\.exact is never, and .* lacks VNNI$/);
  assert.match(kernelOf(AVX2, 'always'), /^exact/);
  assert.equal(kernelOf(`${AVX512} avx512_vnni`, 'always'), 'exact int8 kernel: model.exact is always');
});
