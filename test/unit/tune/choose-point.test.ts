import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Candidate,
  candidatesOf,
  explain,
  type Goal,
  meets,
  rank,
  refuse,
} from '../../../src/tune/choose-point.ts';
import { chosenFirst, shapesOf } from '../../../src/tune/search.ts';
import { POINT, report } from '../../fakes/profile.ts';

const GOAL: Goal = { fps: 5, cameras: 1, minIdle: 50, maxTemperature: null };
const candidate = (fps: number, idle: number, change: object = {}): Candidate => ({
  ...{ point: { ...POINT, ...change }, fps, idle, rssMb: 150, temperature: 61.5 },
});

test('rows become candidates with their idle share of all cores', () => {
  const [found, ...others] = candidatesOf(report([100, 101, 99]).rows, 4);
  assert.deepEqual(others, []);
  assert.equal(found!.idle, 97, '12 % of one core are 3 % of four');
  assert.equal(Math.round(found!.fps), 100);
  const [many] = candidatesOf(report([100, 101, 99]).rows, 4, 5);
  assert.equal(many!.idle, 85, 'five times the rate at which it was measured');
});

test('a goal is met with headroom for busy moments, for all cameras together', () => {
  assert.equal(meets(candidate(6.25, 50), GOAL), true);
  assert.equal(meets(candidate(6.2, 90), GOAL), false);
  assert.equal(meets(candidate(100, 49), GOAL), false);
  assert.equal(meets(candidate(12, 90), { ...GOAL, cameras: 2 }), false);
});

test('of the candidates that meet the goal, the one with the largest idle share wins, not the fastest', () => {
  const frugal = candidate(20, 80);
  const fast = candidate(60, 60, { threads: 4 });
  const lame = candidate(5, 95, { sessions: 2 });
  assert.deepEqual(rank([fast, lame, frugal], GOAL), [frugal, fast, lame]);
  assert.deepEqual(rank([frugal, lame, fast], { ...GOAL, fps: null }), [fast, frugal, lame]);
});

test('between equal candidates, fewer threads and sessions win', () => {
  const one = candidate(20, 80);
  const four = candidate(21, 81, { threads: 4 });
  assert.deepEqual(rank([four, one], GOAL), [one, four]);
});

test('the choice is explained in three lines', () => {
  const best = candidate(20, 80, { threads: 2 });
  const lines = explain(best, [best, candidate(15, 70)], { ...GOAL, maxTemperature: 70 }, 4);
  assert.equal(lines.length, 3);
  assert.equal(lines[0], 'Choice: builtin with 1 session of 2 threads, frames of 640×480');
  assert.match(lines[1]!, /5 frames per second leave 80 % of 4 cores idle \(goal: 50 %\)/);
  assert.match(lines[1]!, /next best builtin 1×1: 15\.0 fps, 70 % idle/);
  const larger = candidate(15, 70, { width: 1280, height: 720 });
  assert.match(explain(best, [best, larger], GOAL, 4)[1]!, /next best builtin 1×1 with 1280×720: /);
  assert.match(lines[2]!, /^Thermal: 61\.5 °C measured at full speed; .* below 70 °C/);
});

test('a goal that cannot be reached is refused with the possible rate', () => {
  const slow = refuse(candidate(5, 80), GOAL, 4);
  assert.match(
    slow,
    /the maximum is 5\.0, expected 6\.3.*4\.0 frames per second of each camera are possible/,
  );
  const busy = refuse(candidate(50, 20), { ...GOAL, cameras: 2 }, 4);
  assert.match(
    busy,
    /leave 20 % of 4 cores idle, expected 50 %.*3\.1 frames per second of each camera are possible/,
  );
});

test('the cache depends on the configured model, not on the order of the others', () => {
  assert.deepEqual(chosenFirst(['b', 'c', 'a']), ['b', 'a', 'c']);
  assert.deepEqual(chosenFirst(['b', 'a', 'c'], 'c'), ['c', 'a', 'b']);
});

test('a few cores are divided in every way, many in some', () => {
  assert.deepEqual(
    shapesOf(4).map(({ threads, sessions }) => `${threads}×${sessions}`),
    ['1×1', '2×1', '3×1', '4×1', '1×2', '2×2', '1×3', '1×4'],
  );
  assert.equal(shapesOf(1).length, 1);
  const many = shapesOf(12);
  assert.ok(many.length < 15 && many.every(({ threads, sessions }) => threads * sessions <= 12));
  assert.ok(many.some(({ threads }) => threads === 12) && many.some(({ sessions }) => sessions === 12));
});
