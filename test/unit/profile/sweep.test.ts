import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf } from '../../../src/profile/measurement-plan.ts';
import { Sweep } from '../../../src/profile/sweep.ts';
import { POINT } from '../../fakes/profile.ts';

const options = {
  ...{ rounds: 2, models: new Map(), cameras: new Map(), costs: false, folder: '/missing' },
  ...{ signal: new AbortController().signal, onProgress: () => {} },
};
const budget = () => ({ pipelineMs: 1, pacedMs: 1, fps: 5, inferenceMs: 1, multiStream: false });

test('a model that cannot be measured affects only its own rows', async () => {
  const failure = { code: 'MODEL_CORRUPT', message: 'no model' } as const;
  const points = [1, 2].map((threads) => ({ ...POINT, model: 'broken', threads }));
  const sweep = new Sweep({ ...options, points, budget, broken: new Map([['broken', failure]]) });
  await sweep.run();
  assert.deepEqual(
    sweep.rows.map(({ failures }) => failures),
    [[failure], [failure]],
  );
  assert.deepEqual(sweep.leftOut, []);
});

test('a sweep without time for a point ends and lists the skipped points', async () => {
  const points = [POINT, { ...POINT, threads: 2 }];
  const sweep = new Sweep({ ...options, points, budget: () => null });
  await sweep.run();
  assert.deepEqual(sweep.rows, []);
  assert.deepEqual(sweep.leftOut, points.map(keyOf));
});
