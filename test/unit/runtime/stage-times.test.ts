import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onStage, recordAnalysis, recordStage, type Stage } from '../../../src/runtime/stage-times.ts';
import type { Analysis } from '../../../src/types.ts';

const ANALYSIS: Analysis = {
  ...{ camera: 'a', seq: 0, capturedAt: 0, monotonic: 0, gate: 'always', motion: 0 },
  scores: [
    {
      region: { box: { x: 0, y: 0, w: 1, h: 1 }, zone: null },
      model: 'm',
      probabilities: new Float32Array(1),
    },
  ],
  times: { motion: 1, resize: 2, inference: 3 },
};

test('a listener hears of each stage until it stops listening', () => {
  const heard: [Stage, number][] = [];
  recordStage('decide', 1);
  const stop = onStage((...sample) => heard.push(sample));
  recordStage('store', 2);
  recordStage('publish', 3);
  stop();
  recordStage('store', 4);
  assert.deepEqual(heard, [
    ['store', 2],
    ['publish', 3],
  ]);
});

test('an analysis tells the stages that its frame went through, and no others', () => {
  const heard: Stage[] = [];
  const stop = onStage((stage) => heard.push(stage));
  recordAnalysis(ANALYSIS);
  assert.deepEqual(heard.splice(0), ['motion', 'resize', 'inference']);
  recordAnalysis({ ...ANALYSIS, gate: 'still', scores: [] });
  assert.deepEqual(heard.splice(0), ['motion']);
  recordAnalysis({ ...ANALYSIS, gate: 'off', scores: [] });
  assert.deepEqual(heard, []);
  stop();
});
