import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberName, parseMember, publishedAccuracy } from '../../../src/profile/family.ts';
import {
  combine,
  fullPlan,
  keyOf,
  type PlanOptions,
  quickPlan,
  standardPlan,
} from '../../../src/profile/measurement-plan.ts';
import type { Point } from '../../../src/profile/profile-types.ts';

const BASE: Point = {
  ...{ model: 'builtin', threads: 2, sessions: 1, provider: 'cpu', spinning: false, exact: 'auto' },
  ...{ width: 640, height: 480, source: 'raw' },
};
const PI: PlanOptions = { base: BASE, cores: 4, installed: ['builtin', 'birds'], providers: ['cpu'] };
const values = <K extends keyof Point>(points: readonly Point[], key: K) =>
  new Set(points.map((point) => point[key]));

test('given axes are combined, and the others stay unchanged', () => {
  const points = combine(BASE, { threads: [1, 2, 4], sessions: [1, 2], sources: [] } as never);
  assert.equal(points.length, 6);
  assert.deepEqual(values(points, 'model'), new Set(['builtin']));
  assert.deepEqual(
    points.map(({ threads, sessions }) => [threads, sessions]),
    [
      [1, 1],
      [2, 1],
      [4, 1],
      [1, 2],
      [2, 2],
      [4, 2],
    ],
  );
});

test('the quick plan has only the configured model, with the most different uses of the cores', () => {
  const points = quickPlan(PI);
  assert.deepEqual(
    points.map(({ threads, sessions }) => `${threads}×${sessions}`),
    ['2×1', '1×1', '4×1', '1×4'],
  );
  assert.deepEqual(values(points, 'model'), new Set(['builtin']));
  assert.equal(quickPlan({ ...PI, cores: 1, base: { ...BASE, threads: 1 } }).length, 1);
});

test('the standard plan varies every axis', () => {
  const points = standardPlan(PI);
  assert.deepEqual(values(points, 'threads'), new Set([1, 2, 3, 4]));
  assert.deepEqual(values(points, 'sessions'), new Set([1, 2, 3, 4]));
  assert.deepEqual(values(points, 'spinning'), new Set([false, true]));
  assert.deepEqual(values(points, 'source'), new Set(['raw', 'jpeg', 'demo']));
  assert.deepEqual(values(points, 'width'), new Set([320, 640, 1280]));
  assert.ok(values(points, 'model').has('birds') && values(points, 'model').has('v2-0.35-224-int8'));
  assert.equal(new Set(points.map(keyOf)).size, points.length, 'no point twice');
});

test('the full plan has every width and resolution of the family in both precisions', () => {
  const points = fullPlan(PI);
  const members = [...values(points, 'model')].flatMap((name) => parseMember(name) ?? []);
  assert.equal(members.length, 6 * 5 * 2);
  assert.ok(points.every(({ threads, sessions }) => threads * sessions <= 4));
  assert.equal(new Set(points.map(keyOf)).size, points.length);
});

test('a member of the family is recognised by its exact name only', () => {
  const member = { width: 0.5, resolution: 160, precision: 'int8' } as const;
  assert.deepEqual(parseMember(memberName(member)), member);
  for (const name of ['builtin', 'v2', 'v2-0.5-160', 'v2-9-160-int8', 'v2-1-16-fp32', 'v2-1-224-fp16']) {
    assert.equal(parseMember(name), null, name);
  }
});

test('the accuracy of a member is the published one, and unknown for others', () => {
  const of = (width: number, resolution: number) =>
    publishedAccuracy({ width, resolution, precision: 'fp32' });
  assert.equal(of(1, 224), 71.8);
  assert.equal(of(0.35, 96), 45.5);
  assert.equal(of(0.5, 160), 61);
  assert.equal(of(1.4, 224), 75);
  assert.equal(of(1.4, 96), null);
  assert.equal(of(0.6, 224), null);
});
