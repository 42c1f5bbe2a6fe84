import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { readProcessor, requireProcessor } from '../../../src/board/processor.ts';
import { pi4, plant } from '../../fakes/boards.ts';

const x86 = (flags: string) => ({ architecture: 'x64' as const, flags: new Set(flags.split(' ')) });

test('the flags of the first processor are read, and of a board that lists none none', () => {
  const some = plant({ 'proc/cpuinfo': 'processor\t: 0\nflags\t\t: fpu sse avx2\nbugs\t\t: its\n' });
  assert.deepEqual(readProcessor(some, 'x64'), x86('fpu sse avx2'));
  const pi = plant(pi4);
  assert.deepEqual(readProcessor(pi, 'arm64'), { architecture: 'arm64', flags: null });
  assert.equal(readProcessor('/nowhere', 'x64').flags, null);
  for (const root of [some, pi]) rmSync(root, { recursive: true });
});

test('an x86 processor without SSE4.2 is rejected with the missing features', () => {
  assert.throws(() => requireProcessor(x86('sse sse2 ssse3 sse4_1')), {
    code: 'SYSTEM_UNSUPPORTED',
    message: /^this processor is too old: expected .* found no sse4_2, popcnt$/,
  });
  requireProcessor(x86('sse sse2 ssse3 sse4_1 sse4_2 popcnt'));
  requireProcessor({ architecture: 'x64', flags: null });
  requireProcessor({ architecture: 'arm64', flags: null });
});
