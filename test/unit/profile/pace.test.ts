import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paceOf } from '../../../src/profile/pace.ts';

/** Simulates a sweep on a board where each round has this overhead. @returns when it ends */
function play(points: number, overheadMs: number, beforeMs: number): { done: number; endMs: number } {
  const { budget } = paceOf({ quick: true, fps: 5 }, points, beforeMs);
  let elapsedMs = 0;
  let done = 0;
  for (; done < points; done++) {
    const allowed = budget({ done, total: points, elapsedMs });
    if (!allowed) break;
    elapsedMs += overheadMs + allowed.pacedMs + allowed.pipelineMs + 1.5 * allowed.inferenceMs;
  }
  return { done, endMs: beforeMs + elapsedMs };
}

test('a quick sweep ends within a minute, and skips points on a slow board', () => {
  const fast = play(4, 2000, 1000);
  assert.equal(fast.done, 4);
  assert.ok(fast.endMs > 35_000 && fast.endMs < 50_000, `${fast.endMs} ms are used well`);
  const slow = play(4, 16_000, 8000);
  assert.ok(slow.done >= 1 && slow.done < 4, `${slow.done} points`);
  assert.ok(slow.endMs < 60_000, `${slow.endMs} ms`);
});

test('given lengths are kept', () => {
  const { budget, rounds } = paceOf({ quick: true, seconds: 4, rounds: 2, fps: 5 }, 4, 0);
  const { pipelineMs, pacedMs, inferenceMs } = budget({ done: 3, total: 8, elapsedMs: 1e6 })!;
  assert.deepEqual([rounds, pipelineMs, pacedMs, inferenceMs], [2, 4000, 4000, 4000]);
});
