import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Assignment } from '../../../src/decide/assignment.ts';
import { Random } from '../../../src/runtime/random.ts';

const LIMIT = 0.8;

/** The smallest sum of all ways to pair rows with columns, where a row that stays alone costs the limit. */
function cheapest(costs: number[][], used: ReadonlySet<number> = new Set(), row = 0): number {
  if (row === costs.length) return 0;
  let best = LIMIT + cheapest(costs, used, row + 1);
  costs[row]!.forEach((cost, column) => {
    if (used.has(column) || cost >= LIMIT) return;
    best = Math.min(best, cost + cheapest(costs, new Set([...used, column]), row + 1));
  });
  return best;
}

test('the pairs have the smallest sum of all possible ones', () => {
  const random = new Random(1);
  const assignment = new Assignment();
  for (let round = 0; round < 500; round++) {
    const [rows, columns] = [Math.floor(random.range(1, 6)), Math.floor(random.range(1, 6))];
    const costs = Array.from({ length: rows }, () => Array.from({ length: columns }, () => random.next()));
    const columnOf = new Int32Array(rows);
    assignment.solve(Float64Array.from(costs.flat()), rows, columns, columnOf, LIMIT);
    const paired = [...columnOf].filter((column) => column >= 0);
    assert.equal(new Set(paired).size, paired.length, 'no column twice');
    const sum = [...columnOf].reduce(
      (total, column, row) => total + (column < 0 ? LIMIT : costs[row]![column]!),
      0,
    );
    assert.ok(Math.abs(sum - cheapest(costs)) < 1e-9, `round ${round}`);
  }
});

test('pairs at the limit or beyond are left apart', () => {
  const columnOf = new Int32Array(2);
  new Assignment().solve(Float64Array.of(0.1, Number.POSITIVE_INFINITY, 0.9, 0.8), 2, 2, columnOf, 0.8);
  assert.deepEqual([...columnOf], [0, -1]);
});

test('without rows or columns there are no pairs', () => {
  const columnOf = Int32Array.of(7, 7);
  new Assignment().solve(new Float64Array(0), 2, 0, columnOf, 1);
  assert.deepEqual([...columnOf], [-1, -1]);
});
