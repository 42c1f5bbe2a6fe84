import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnalysisRate } from '../../../src/board/analysis-rate.ts';

test('the strictest limit decides how many frames are analysed', () => {
  const applied: number[] = [];
  const rate = new AnalysisRate((share) => applied.push(share));
  rate.limit('thermal', 0.5);
  rate.limit('memory', 0.25);
  rate.limit('memory', 1);
  rate.limit('thermal', 0.1);
  rate.limit('thermal', 1);
  assert.deepEqual(applied, [0.5, 0.25, 0.5, 0.1, 1]);
});
