/** A report as one page that needs nothing else: plots as inline SVG, no scripts, nothing from the network. */
import { STAGES } from '../../platform/stages.ts';
import {
  METRICS,
  type Metric,
  type ModelFacts,
  type Report,
  type Row,
  type SustainSample,
} from '../types.ts';
import { bars, escapeHtml, plot } from './svg.ts';
import { describeMachine, figure, withInterval } from './table.ts';

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#1f2328;background:#fff}
table{border-collapse:collapse;font-size:13px;margin:1rem 0;display:block;overflow-x:auto}
td,th{padding:4px 8px;border-bottom:1px solid #d0d7de;text-align:right;white-space:nowrap}
td:first-child,th:first-child{text-align:left}
svg{max-width:100%;height:auto;font-family:inherit}h2{margin-top:2.5rem}.note{color:#57606a}`;

export function html(report: Report): string {
  const { provenance, rows, models, sustained } = report;
  const measured = rows.filter(({ metrics }) => metrics.pipeline_fps);
  const sections: [title: string, content: string][] = [
    ['Figures', figures(report)],
    ['Latency of the model', latency(measured)],
    ['Where a frame spends its time', stages(measured)],
    ['Accuracy against speed', accuracy(measured, models)],
    ['Multiply-adds against speed', multiplyAdds(measured, models)],
    ['Operators', models.map(operators).join('\n')],
    [
      'Sustained',
      sustained ? `<p>${escapeHtml(sustained.verdict.text)}</p>${curves(sustained.samples)}` : '',
    ],
    ['Not measured', failures(rows)],
    ['Where and with what', facts(report)],
  ];
  const title = `Lookout on ${provenance.board ?? provenance.host}`;
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    `<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body>`,
    `<h1>${escapeHtml(title)}</h1><p class="note">${escapeHtml(describeMachine(provenance))}<br>${provenance.at}</p>`,
    ...sections.filter(([, content]) => content).map(([name, content]) => `<h2>${name}</h2>\n${content}`),
    '</body></html>\n',
  ].join('\n');
}

function figures({ rows, fps }: Report): string {
  const used = (Object.keys(METRICS) as Metric[]).filter((metric) =>
    rows.some(({ metrics }) => metrics[metric]),
  );
  const head = [
    '',
    ...used.map((metric) => `${METRICS[metric].label}, ${METRICS[metric].unit}`),
    '°C',
    'MHz',
  ];
  const lines = rows
    .filter(({ metrics }) => metrics.pipeline_fps)
    .map(({ key, metrics, stamps }) => {
      const after = stamps.at(-1)?.after;
      const cells = used.map((metric) => withInterval(metrics[metric]));
      const throttled = after?.throttled ? ` (${after.throttle_reasons.join(', ')})` : '';
      return [key, ...cells, `${figure(after?.temperature_c)}${throttled}`, figure(after?.mhz)];
    });
  const note = `Medians with half the width of their 95 % intervals. Paced: at ${fps} frames per second.`;
  return `${tableOf(head, lines)}<p class="note">${escapeHtml(note)}</p>`;
}

function latency(rows: readonly Row[]): string {
  const found = rows.flatMap(({ key, singleStream }) => (singleStream ? [{ key, ...singleStream }] : []));
  const plots = bars(
    'One query after the other: p50, p90, p99',
    'ms',
    found.map(({ key, latency: { p50, p90, p99 } }) => ({
      name: key,
      values: [p50, p90, p99],
      shown: [p50, p90, p99].map(figure).join(' · '),
    })),
  );
  const head = ['', 'p50', 'p90', 'p99', 'max', 'queries', 'MLPerf-style'];
  const lines = found.map(({ key, latency: { p50, p90, p99, max, count }, complete }) => [
    ...[key, figure(p50), figure(p90), figure(p99), figure(max), String(count)],
    complete ? `single-stream ${figure(p90)} ms` : 'too few queries',
  ]);
  const many = rows.flatMap(({ key, multiStream }) => (multiStream ? [{ key, ...multiStream }] : []));
  const more = many.map(({ key, latency: { p50, p90, p99, max, count }, complete, samples }) => [
    ...[`${key}, ${samples} samples`, figure(p50), figure(p90), figure(p99), figure(max), String(count)],
    complete ? `multi-stream ${figure(p99)} ms` : 'too few queries',
  ]);
  return found.length === 0 ? '' : `${plots}${tableOf(head, [...lines, ...more])}`;
}

function stages(rows: readonly Row[]): string {
  return (['pipeline', 'paced'] as const)
    .map((part) => {
      const lines = rows.flatMap(({ key, stages: found }) =>
        STAGES.flatMap((stage) => {
          const summary = found?.[part][stage];
          if (!summary) return [];
          const { p50, p90, p99, max, count } = summary;
          const cells = [p50, p90, p99, max].map((value) => value.toFixed(3));
          return [[`${key} · ${stage}`, ...cells, String(count)]];
        }),
      );
      const name = part === 'pipeline' ? 'At full speed' : 'Paced';
      const content = tableOf(['stage, ms', 'p50', 'p90', 'p99', 'max', 'times'], lines);
      return lines.length === 0 ? '' : `<details><summary>${name}</summary>${content}</details>`;
    })
    .join('\n');
}

/** Rates of the fastest row of each model. */
function fastest(rows: readonly Row[]): Map<string, number> {
  const best = new Map<string, number>();
  for (const { point, metrics } of rows) {
    const fps = metrics.pipeline_fps!.value;
    if (fps > (best.get(point.model) ?? 0)) best.set(point.model, fps);
  }
  return best;
}

function accuracy(rows: readonly Row[], models: readonly ModelFacts[]): string {
  const rates = fastest(rows);
  const points = models.flatMap(({ name, accuracy: y }) => {
    const x = rates.get(name);
    return x === undefined || y === null ? [] : [{ x, y, label: name }];
  });
  if (points.length < 2) return '';
  const note =
    'Top-1 on ImageNet as the authors published it for the float weights; quantising costs some of it.';
  const axes = { x: 'whole pipeline, frames per second', y: 'top-1, %' };
  const drawn = plot({
    title: 'Accuracy against speed',
    ...axes,
    front: true,
    series: [dots('models', points)],
  });
  return `${drawn}<p class="note">${note}</p>`;
}

function multiplyAdds(rows: readonly Row[], models: readonly ModelFacts[]): string {
  const rates = fastest(rows);
  const points = models.flatMap(({ name, multiplyAdds: y }) => {
    const x = rates.get(name);
    return x === undefined || y === null ? [] : [{ x, y, label: name }];
  });
  if (points.length < 2) return '';
  const axes = { x: 'whole pipeline, frames per second', y: 'multiply-adds, millions' };
  return plot({
    title: 'Multiply-adds against speed',
    ...axes,
    front: true,
    series: [dots('models', points)],
  });
}

const dots = (name: string, points: readonly { x: number; y: number; label: string }[]) => ({
  ...{ name, points, line: false },
});

function operators({ name, operators: found }: ModelFacts): string {
  const total = found.reduce((sum, { microseconds }) => sum + microseconds, 0);
  const rows = found.slice(0, 12).map((operator) => ({
    name: `${operator.name} × ${operator.count}`,
    values: [operator.microseconds],
    shown: `${figure(operator.microseconds)} (${((100 * operator.microseconds) / total).toFixed(0)} %)`,
  }));
  if (rows.length === 0) return '';
  return `<h3>${escapeHtml(name)}</h3>${bars(`${name}, one thread`, 'µs for one inference', rows)}`;
}

/** Rate, latency, clock and temperature over time. */
function curves(samples: readonly SustainSample[]): string {
  const over = (y: string, pick: (sample: SustainSample) => number | null) => {
    const points = samples.flatMap((sample) => {
      const value = pick(sample);
      return value === null ? [] : [{ x: sample.t, y: value }];
    });
    return plot({ title: y, x: 'seconds', y, series: [{ name: y, points, line: true }] });
  };
  return [
    over('frames per second', ({ fps }) => fps),
    over('picture to decision p90, ms', ({ latencyP90 }) => latencyP90),
    over('clock, MHz', ({ mhz }) => mhz),
    over('temperature, °C', ({ temperature_c }) => temperature_c),
    over('power, W', ({ watts }) => watts),
  ].join('\n');
}

function failures(rows: readonly Row[]): string {
  const lines = rows.flatMap(({ key, failures: found }) =>
    found.map(({ code, message }) => `<li>${escapeHtml(`${key}: ${code}: ${message}`)}</li>`),
  );
  return lines.length === 0 ? '' : `<ul>${lines.join('')}</ul>`;
}

function facts({ provenance, models }: Report): string {
  const where = Object.entries(provenance).map(([key, value]) => [key, value === null ? '–' : String(value)]);
  const known = models.map(({ name, sha256, bytes, input, multiplyAdds: cost }) => [
    ...[name, input, `${(bytes / 1e6).toFixed(2)} MB`, figure(cost), sha256],
  ]);
  return tableOf(['', ''], where) + tableOf(['model', 'input', 'size', 'multiply-adds, M', 'sha256'], known);
}

function tableOf(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${row(head, 'th')}${lines.map((line) => row(line, 'td')).join('')}</table>`;
}
