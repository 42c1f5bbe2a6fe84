/** Prints a report on a terminal. */

import { describeKernel } from '../../model/int8-kernel.ts';
import { STAGES } from '../../runtime/stage-times.ts';
import { keyOf } from '../measurement-plan.ts';
import {
  METRICS,
  type Metric,
  type Provenance,
  type Queries,
  type Report,
  type Row,
} from '../profile-types.ts';
import { MULTI_STREAM, SINGLE_STREAM } from '../scenarios.ts';
import type { Estimate } from '../statistics.ts';

/** Reserve for queries that are slower than the mean. */
const ROOM = 1.2;

/** Columns of a table; numbers to the right, words to the left. */
export function columns(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const isNumber = head.map((_, column) => rows.every((row) => /^[–\d.±% ]*$/.test(row[column] ?? '')));
  return all
    .map((row) =>
      row
        .map((cell, column) =>
          isNumber[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Formats a figure with its significant digits; – if there is none. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A figure with half of its interval, if it has one. */
export function withInterval(estimate: Estimate | undefined): string {
  if (!estimate) return '–';
  if (estimate.value === 0 || estimate.rounds.flat().length < 2) return figure(estimate.value);
  const half = (100 * (estimate.high - estimate.low)) / 2 / estimate.value;
  return `${figure(estimate.value)} ±${half.toFixed(half < 10 ? 1 : 0)}%`;
}

export function describeMachine(provenance: Provenance): string {
  const { board, cpu, cores, kernel, governor, limit_mhz, power_mode, power_source } = provenance;
  const parts = [
    board ?? provenance.host,
    `${cpu ?? 'unknown processor'}, ${cores} ${cores === 1 ? 'core' : 'cores'}`,
    limit_mhz === null ? null : `up to ${limit_mhz} MHz`,
    governor === null ? null : `governor ${governor}`,
    power_mode === null ? null : `power mode ${power_mode}`,
    kernel === null ? null : `Linux ${kernel}`,
    `ONNX Runtime ${provenance.onnxruntime}`,
    `Lookout ${provenance.lookout}`,
    power_source === null ? 'no power meter' : `power by ${power_source}`,
  ];
  return parts.filter((part) => part !== null).join(' · ');
}

/** The int8 kernels that ran, with the keys of their rows if there are several. */
export function kernelsOf(rows: readonly Row[]): string[] {
  const keys = new Map<string, string[]>();
  for (const { key, kernel } of rows) {
    if (!kernel) continue;
    const text = describeKernel(kernel);
    keys.set(text, [...(keys.get(text) ?? []), key]);
  }
  return [...keys].map(([text, found]) => (keys.size === 1 ? text : `${text} (${found.join('; ')})`));
}

export function table(report: Report): string {
  const { rows, provenance, fps } = report;
  const measured = rows.filter(({ metrics }) => metrics.pipeline_fps);
  const energy = measured.some(({ metrics }) => metrics.pipeline_mj_per_frame);
  const head = ['model', 'threads×sessions', 'provider', 'spin', 'camera'];
  const figures: [Metric, string][] = [
    ['inference_fps', 'model fps'],
    ['pipeline_fps', 'pipeline fps'],
    ['single_stream_p90_ms', 'model p90 ms'],
    ['rest_ms', 'rest ms'],
    ['paced_cpu_percent', `CPU % at ${fps} fps`],
    ['paced_latency_p90_ms', 'latency p90 ms'],
    ['rss_mb', 'RSS MB'],
  ];
  if (energy) figures.push(['pipeline_mj_per_frame', 'mJ/frame']);
  const lines = measured.map((row) => [
    ...nameCells(row),
    ...figures.map(([metric]) =>
      metric.endsWith('fps') ? withInterval(row.metrics[metric]) : figure(row.metrics[metric]?.value),
    ),
    boardState(row),
  ]);
  const parts = [
    [describeMachine(provenance), ...kernelsOf(rows)].join('\n'),
    ...(lines.length > 0 ? [columns([...head, ...figures.map(([, name]) => name), 'board'], lines)] : []),
  ];
  const best = measured.toSorted((a, b) => b.metrics.pipeline_fps!.value - a.metrics.pipeline_fps!.value)[0];
  if (best) parts.push(stageTable(best), scenarios(best, report.rounds));
  for (const { key, failures } of rows) {
    for (const { code, message } of failures) parts.push(`${key}: ${code}: ${message}`);
  }
  parts.push(...notes(report));
  const { sustained, sustainFailure } = report;
  if (sustained) parts.push(`long run of ${keyOf(sustained.point)}: ${sustained.verdict.text}`);
  if (sustainFailure) parts.push(`long run: ${sustainFailure.code}: ${sustainFailure.message}`);
  return `${parts.join('\n\n')}\n`;
}

function nameCells({ point }: Row): string[] {
  const { model, threads, sessions, provider, spinning, width, height, source } = point;
  return [
    model,
    `${threads}×${sessions}`,
    provider,
    spinning ? 'on' : 'off',
    `${source === 'raw' ? '' : `${source} `}${width}×${height}`,
  ];
}

function stageTable({ key, stages, metrics }: Row): string {
  const lines = STAGES.flatMap((stage) => {
    const found = stages?.pipeline[stage];
    if (!found) return [];
    const { count, p50, p90, p99, max } = found;
    return [[stage, ...[p50, p90, p99, max].map((value) => value.toFixed(3)), String(count)]];
  });
  const head = ['stage, ms', 'p50', 'p90', 'p99', 'max', 'times'];
  return `fastest: ${key}, ${figure(metrics.pipeline_fps?.value)} fps; its stages at full speed\n${columns(head, lines)}`;
}

/** The figures of MLPerf's scenarios, under those names only if there were enough queries. */
function scenarios({ singleStream, multiStream }: Row, rounds: number): string {
  const lines: string[] = [];
  if (singleStream) {
    const { p90, count } = singleStream.latency;
    const name = singleStream.complete ? 'MLPerf-style single-stream' : 'one query after the other';
    const more = singleStream.complete ? '' : lacking(singleStream, SINGLE_STREAM.queries, rounds);
    lines.push(`${name}: p90 ${figure(p90)} ms over ${count} queries${more}`);
  }
  if (multiStream) {
    const { p99, count } = multiStream.latency;
    const name = multiStream.complete ? 'MLPerf-style multi-stream' : 'one query after the other';
    const more = multiStream.complete ? '' : lacking(multiStream, MULTI_STREAM.queries, rounds);
    lines.push(
      `${name} (${multiStream.samples} samples each): p99 ${figure(p99)} ms over ${count} queries${more}`,
    );
  }
  return lines.join('\n');
}

/** How to get as many queries as MLPerf requires. */
function lacking({ latency }: Queries, queries: number, rounds: number): string {
  const seconds = Math.ceil((ROOM * queries * latency.mean) / 1000 / rounds);
  return `; MLPerf-style needs ${queries}: use about --seconds ${seconds}`;
}

function boardState({ stamps }: Row): string {
  const after = stamps.map((stamp) => stamp.after);
  const hottest = Math.max(...after.map(({ temperature_c }) => temperature_c ?? Number.NEGATIVE_INFINITY));
  const clock = Math.max(...after.map(({ mhz }) => mhz ?? 0));
  const throttled = after.some((stamp) => stamp.throttled);
  return [
    Number.isFinite(hottest) ? `${hottest.toFixed(0)} °C` : '',
    clock > 0 ? `${clock} MHz` : '',
    throttled ? 'throttled' : '',
  ]
    .filter(Boolean)
    .join(' ');
}

/** Reasons to doubt the figures. */
function notes({ rows, rounds, interrupted, leftOut }: Report): string[] {
  const found: string[] = [];
  const stamps = rows.flatMap((row) => row.stamps.map(({ after }) => after));
  const busy = Math.max(0, ...stamps.map(({ others_percent }) => others_percent ?? 0));
  if (busy > 10)
    found.push(
      `Other programs used up to ${busy} % of the processor during the measurement: stop them for better figures.`,
    );
  if (stamps.some(({ throttled }) => throttled)) found.push('The board throttled during the measurement.');
  if (rounds === 1)
    found.push('Each point was measured once: the intervals do not include differences between runs.');
  if (leftOut.length > 0)
    found.push(`Skipped for lack of time: ${leftOut.join(', ')}. Run without --quick to measure all points.`);
  if (interrupted) {
    found.push(
      rows.length > 0
        ? 'Interrupted: these are the results so far.'
        : 'Interrupted before anything was measured.',
    );
  }
  return found;
}

/** Label and unit of a metric. */
export function metricName(metric: Metric): string {
  const { label, unit } = METRICS[metric];
  return `${label}, ${unit}`;
}
