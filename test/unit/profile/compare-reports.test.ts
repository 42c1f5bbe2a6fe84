import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareReports, describeComparison, judge } from '../../../src/profile/compare-reports.ts';
import { makeRow } from '../../../src/profile/profile-rows.ts';
import type { Metric, Report } from '../../../src/profile/profile-types.ts';
import { POINT, PROVENANCE, report, round, stamp } from '../../fakes/profile.ts';

const verdict = (before: Report, after: Report, metric: Metric) =>
  compareReports(before, after).differences.find((difference) => difference.metric === metric)?.verdict;

test('a verdict claims no more than the interval allows', () => {
  assert.equal(judge({ low: 1.05, high: 1.2 }, 'higher'), 'better');
  assert.equal(judge({ low: 1.05, high: 1.2 }, 'lower'), 'worse');
  assert.equal(judge({ low: 0.8, high: 0.9 }, 'lower'), 'better');
  assert.equal(judge({ low: 0.98, high: 1.02 }, 'higher'), 'the same');
  assert.equal(judge({ low: 1.005, high: 1.02 }, 'higher'), 'the same', 'too little to matter');
  assert.equal(judge({ low: 0.9, high: 1.1 }, 'higher'), 'cannot tell');
});

test('a release that is faster is better in its rates and in its latencies', () => {
  const before = report([100, 101, 99]);
  const after = report([120, 121, 119]);
  assert.equal(verdict(before, after, 'pipeline_fps'), 'better');
  assert.equal(verdict(before, after, 'single_stream_p90_ms'), 'better');
  assert.equal(verdict(after, before, 'pipeline_fps'), 'worse');
  assert.equal(verdict(before, after, 'rss_mb'), 'the same');
  assert.equal(verdict(report([100, 140, 80]), report([110, 90, 130]), 'pipeline_fps'), 'cannot tell');
});

test('while other programs are busy, nothing is better or worse', () => {
  const busy = { ...round(120), after: stamp({ others_percent: 60 }) };
  const after = report([], { rounds: 3, rows: [makeRow(POINT, null, [busy, busy, busy], [])] });
  assert.equal(verdict(report([100, 101, 99]), after, 'pipeline_fps'), 'cannot tell');
  assert.equal(verdict(report([100, 101, 99]), after, 'rss_mb'), 'the same');
});

test('a figure that was measured once has no interval and no verdict', () => {
  const comparison = compareReports(report([100]), report([120]));
  const found = comparison.differences.filter(({ hasInterval }) => !hasInterval);
  assert.ok(found.some(({ metric }) => metric === 'rss_mb'));
  assert.ok(found.every(({ verdict }) => verdict === 'cannot tell'));
  assert.match(describeComparison(comparison), /RSS, MB .* – {2,}cannot tell$/m);
  assert.equal(verdict(report([100]), report([120]), 'pipeline_fps'), 'better', 'of its batches');
});

test('other differences between the reports are listed', () => {
  const before = report([100, 101, 99]);
  const other = { ...POINT, threads: 4 };
  const after = report([100], {
    provenance: { ...PROVENANCE, onnxruntime: '1.31.0', at: 'later' },
    fps: 10,
    rows: [
      { ...makeRow(POINT, 'cd'.repeat(32), [{ ...round(100), after: stamp({ others_percent: 60 }) }], []) },
      makeRow(other, null, [round(1)], []),
    ],
  });
  const comparison = compareReports(before, after);
  assert.deepEqual(comparison.changed, ['onnxruntime']);
  assert.deepEqual(comparison.onlyAfter, ['builtin 4×1 cpu 640x480 raw']);
  assert.equal(comparison.warnings.length, 4);
  const text = describeComparison(comparison);
  assert.match(text, /differs: onnxruntime/);
  assert.match(text, /fewer than 3 rounds/);
  assert.match(text, /Different model files with the same name: builtin/);
  assert.match(text, /Other programs were busy during the second report/);
  assert.match(text, /paced parts differ: 5 and 10/);
});
