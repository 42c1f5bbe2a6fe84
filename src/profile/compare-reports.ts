/** Compares two reports. */

import { METRICS, type Metric, type Provenance, type Report, type Row } from './profile-types.ts';
import { columns, describeMachine, figure } from './report/table.ts';
import { ratio } from './statistics.ts';

export type Verdict = 'better' | 'worse' | 'the same' | 'cannot tell';

/** One metric of one row in both reports. */
export interface Difference {
  key: string;
  metric: Metric;
  before: number;
  after: number;
  /** After ÷ before. */
  ratio: { value: number; low: number; high: number };
  /** Whether both have enough measurements for a 95 % confidence interval of `ratio`. */
  hasInterval: boolean;
  verdict: Verdict;
}

export interface Comparison {
  before: Provenance;
  after: Provenance;
  /** Fields of the provenance that differ, except the time. */
  changed: string[];
  differences: Difference[];
  /** Rows that only one report has. */
  onlyBefore: string[];
  onlyAfter: string[];
  /** Reasons to doubt the verdicts. */
  warnings: string[];
}

/** Two figures are the same if the interval of their ratio is within this distance of 1. */
const SAME = 0.03;
const MAX_OTHERS_PERCENT = 10;
const USUAL_CHANGES = new Set(['at', 'load']);

export function compareReports(before: Report, after: Report): Comparison {
  const known = new Map(before.rows.map((row) => [row.key, row]));
  const shared = after.rows.flatMap((row) => {
    const other = known.get(row.key);
    return other ? [[other, row] as const] : [];
  });
  const keys = new Set(after.rows.map(({ key }) => key));
  return {
    before: before.provenance,
    after: after.provenance,
    changed: Object.keys(before.provenance).filter((key) => {
      const field = key as keyof Provenance;
      return !USUAL_CHANGES.has(key) && before.provenance[field] !== after.provenance[field];
    }),
    differences: shared.flatMap(([a, b]) => differencesOf(a, b)),
    onlyBefore: before.rows.filter(({ key }) => !keys.has(key)).map(({ key }) => key),
    onlyAfter: after.rows.filter(({ key }) => !known.has(key)).map(({ key }) => key),
    warnings: warningsOf(before, after, shared),
  };
}

function differencesOf(a: Row, b: Row): Difference[] {
  return (Object.keys(METRICS) as Metric[]).flatMap((metric) => {
    const [before, after] = [a.metrics[metric], b.metrics[metric]];
    if (!before || !after || before.value === 0) return [];
    const found = ratio(before, after);
    const hasInterval = [before, after].every(({ rounds }) => rounds.flat().length > 1);
    const judged = hasInterval ? judge(found, METRICS[metric].better) : 'cannot tell';
    // While other programs are busy, two runs of the same build differ by more than their intervals.
    const verdict = judged === 'the same' || !(isBusy(a) || isBusy(b)) ? judged : 'cannot tell';
    const values = { before: before.value, after: after.value };
    return [{ key: b.key, metric, ...values, ratio: found, hasInterval, verdict }];
  });
}

/** The verdict for the interval of a ratio. */
export function judge({ low, high }: { low: number; high: number }, better: 'higher' | 'lower'): Verdict {
  if (low >= 1 - SAME && high <= 1 + SAME) return 'the same';
  if (low > 1) return better === 'higher' ? 'better' : 'worse';
  if (high < 1) return better === 'higher' ? 'worse' : 'better';
  return 'cannot tell';
}

function warningsOf(before: Report, after: Report, shared: readonly (readonly [Row, Row])[]): string[] {
  const warnings: string[] = [];
  if (Math.min(before.rounds, after.rounds) < 3) {
    warnings.push(
      'With fewer than 3 rounds the intervals are too narrow: different runs vary more than parts of one run. Use --rounds 3.',
    );
  }
  if (before.fps !== after.fps) {
    warnings.push(`The paced parts differ: ${before.fps} and ${after.fps} frames per second.`);
  }
  const other = shared.filter(([a, b]) => a.sha256 !== b.sha256).map(([, { point }]) => point.model);
  if (other.length > 0)
    warnings.push(`Different model files with the same name: ${[...new Set(other)].join(', ')}.`);
  const kernels = shared.flatMap(([a, b]) =>
    a.kernel && b.kernel && a.kernel.name !== b.kernel.name ? `${a.kernel.name} and ${b.kernel.name}` : [],
  );
  if (kernels.length > 0) warnings.push(`Different int8 kernels: ${[...new Set(kernels)].join('; ')}.`);
  for (const [name, { rows }] of Object.entries({ first: before, second: after })) {
    if (rows.some(isBusy)) {
      warnings.push(`Other programs were busy during the ${name} report: the affected rows get no verdict.`);
    }
  }
  return warnings;
}

/** Whether other programs used too much of the processor for a comparison. */
function isBusy({ stamps }: Row): boolean {
  return stamps.some(({ after }) => (after.others_percent ?? 0) > MAX_OTHERS_PERCENT);
}

/** For a terminal. */
export function describeComparison({ before, after, ...comparison }: Comparison): string {
  const { differences, changed, onlyBefore, onlyAfter, warnings } = comparison;
  const percent = (value: number) => `${value >= 1 ? '+' : ''}${(100 * (value - 1)).toFixed(1)}`;
  const lines = differences.map(({ key, metric, before: a, after: b, ratio: r, hasInterval, verdict }) => [
    key,
    `${METRICS[metric].label}, ${METRICS[metric].unit}`,
    figure(a),
    figure(b),
    `${percent(r.value)} %`,
    hasInterval ? `${percent(r.low)} … ${percent(r.high)} %` : '–',
    verdict,
  ]);
  const count = (verdict: Verdict) =>
    differences.filter((difference) => difference.verdict === verdict).length;
  const parts = [
    `before: ${before.at.slice(0, 16)} ${describeMachine(before)}\nafter:  ${after.at.slice(0, 16)} ${describeMachine(after)}`,
    ...(changed.length > 0 ? [`differs: ${changed.join(', ')}`] : []),
    columns(['point', 'figure', 'before', 'after', 'change', '95 % interval', 'verdict'], lines),
    `${count('better')} better, ${count('worse')} worse, ${count('the same')} the same, ${count('cannot tell')} cannot tell`,
    ...(onlyBefore.length > 0 ? [`only before: ${onlyBefore.join('; ')}`] : []),
    ...(onlyAfter.length > 0 ? [`only after: ${onlyAfter.join('; ')}`] : []),
    ...warnings,
  ];
  return `${parts.join('\n\n')}\n`;
}
