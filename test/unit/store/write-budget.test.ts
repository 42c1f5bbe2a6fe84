import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WriteBudget } from '../../../src/store/write-budget.ts';
import { FakeClock } from '../../fakes/clock.ts';

const MB = 1_000_000;
const DAY = 86_400_000;

test('the less of the budget is left, the more writing is throttled', () => {
  const budget = new WriteBudget(100 * MB, new FakeClock());
  const steps = [10, 15, 15, 10, 5, 5].map((mb) => budget.spend(mb * MB));
  assert.deepEqual(steps, [0, 1, 1, 2, 2, 3]);
});

test('the budget recovers with time, up to that of one day', () => {
  const clock = new FakeClock();
  const budget = new WriteBudget(100 * MB, clock);
  assert.equal(budget.spend(60 * MB), 3);
  clock.advance(DAY / 2);
  assert.equal(budget.spend(0), 0);
  clock.advance(10 * DAY);
  assert.equal(budget.spend(101 * MB), 3);
});

test('writing at the allowed rate is never throttled', () => {
  const clock = new FakeClock();
  const budget = new WriteBudget(100 * MB, clock);
  for (let hour = 0; hour < 500; hour++) {
    clock.advance(DAY / 24);
    assert.equal(budget.spend((100 * MB) / 24), 0);
  }
});

test('an overdraft is recovered within a day', () => {
  const clock = new FakeClock();
  const budget = new WriteBudget(100 * MB, clock);
  budget.spend(10_000 * MB);
  clock.advance(DAY * 1.5);
  assert.equal(budget.spend(0), 0);
});
