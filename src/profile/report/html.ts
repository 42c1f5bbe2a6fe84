/** A report as one self-contained page: plots as inline SVG, no scripts, no network. */
import { STAGES } from '../../runtime/stage-times.ts';
import { parseMember } from '../family.ts';
import { keyOf } from '../measurement-plan.ts';
import {
  METRICS,
  type Metric,
  type ModelFacts,
  type Report,
  type Row,
  type Sustained,
  type SustainSample,
} from '../profile-types.ts';
import { type Axis, bars, escapeHtml, plot } from './svg.ts';
import { describeMachine, figure, kernelsOf, withInterval } from './table.ts';

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:2rem auto;padding:0 1rem;color:#1f2328;background:#fff}
table{border-collapse:collapse;font-size:12px;margin:1rem 0;display:block;overflow-x:auto}
td,th{padding:4px 8px;border-bottom:1px solid #d0d7de;text-align:right;white-space:nowrap}
th{white-space:normal;vertical-align:bottom;min-width:4rem}td:first-child,th:first-child{text-align:left;position:sticky;left:0;background:#fff}
svg{max-width:100%;height:auto;font-family:inherit}h2{margin-top:2.5rem}.note{color:#57606a}`;

export function html(report: Report): string {
  const { provenance, rows, models, sustained } = report;
  const measured = rows.filter(({ metrics }) => metrics.pipeline_fps);
  const sections: [title: string, content: string][] = [
    ['Figures', figures(report)],
    ['Latency of the model', latency(measured)],
    ['Time of a frame by stage', stages(measured)],
    ['Accuracy against speed', accuracy(measured, models)],
    ['Multiply-adds against speed', multiplyAdds(measured, models)],
    ['Sustained', sustained ? longRun(sustained) : ''],
    ['Operators', breakdowns(models)],
    ['Not measured', failures(report)],
    ['Machine, software and models', facts(report)],
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
  const note = `Medians with half of the 95 % interval. Paced: at ${fps} frames per second.`;
  return `${tableOf(head, lines)}<p class="note">${escapeHtml(note)}</p>`;
}

function latency(rows: readonly Row[]): string {
  const found = rows.flatMap(({ key, singleStream }) => (singleStream ? [{ key, ...singleStream }] : []));
  if (found.length === 0) return '';
  const { names, shared } = shortNames(found.map(({ key }) => key));
  const plots = bars(
    'One query after the other, milliseconds',
    found.map(({ latency: { p50, p90, p99 } }, index) => ({
      name: names[index]!,
      values: [p50, p90, p99],
      shown: [p50, p90, p99].map(figure).join(' · '),
    })),
    ['p50', 'p90', 'p99'],
  );
  const head = ['', 'p50', 'p90', 'p99', 'max', 'queries', 'MLPerf-style'];
  const lines = found.map(({ key, latency: { p50, p90, p99, max, count }, complete }) => [
    key,
    figure(p50),
    figure(p90),
    figure(p99),
    figure(max),
    String(count),
    complete ? `single-stream ${figure(p90)} ms` : 'too few queries',
  ]);
  const many = rows.flatMap(({ key, multiStream }) => (multiStream ? [{ key, ...multiStream }] : []));
  const more = many.map(({ key, latency: { p50, p90, p99, max, count }, complete, samples }) => [
    `${key}, ${samples} samples`,
    figure(p50),
    figure(p90),
    figure(p99),
    figure(max),
    String(count),
    complete ? `multi-stream ${figure(p99)} ms` : 'too few queries',
  ]);
  const note = shared ? `<p class="note">All: ${escapeHtml(shared)}</p>` : '';
  return `${plots}${note}${folded('As figures, in milliseconds', tableOf(head, [...lines, ...more]))}`;
}

/** The words in which keys differ, and the words that all keys share. */
function shortNames(keys: readonly string[]): { names: string[]; shared: string } {
  const words = keys.map((key) => key.split(' '));
  // Keys with spinning threads have one word more, so positions cannot be compared.
  const isSame = (word: string) => keys.length > 1 && words.every((other) => other.includes(word));
  return {
    names: words.map((all) => all.filter((word, index) => index === 0 || !isSame(word)).join(' ')),
    shared: words[0]!.filter((word, index) => index > 0 && isSame(word)).join(' '),
  };
}

function stages(rows: readonly Row[]): string {
  const [best] = rows.toSorted((a, b) => b.metrics.pipeline_fps!.value - a.metrics.pipeline_fps!.value);
  const drawn = STAGES.flatMap((stage) => {
    const found = best?.stages?.pipeline[stage];
    if (!found) return [];
    const values = [found.p50, found.p90, found.p99];
    return [
      { name: stage, values, shown: `${values.map(figure).join(' · ')}, at most ${figure(found.max)}` },
    ];
  });
  const title = `Stages at full speed, milliseconds: ${best?.key ?? ''}`;
  return `${bars(title, drawn, ['p50', 'p90', 'p99'])}\n${stageTables(rows)}`;
}

function stageTables(rows: readonly Row[]): string {
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
      return lines.length === 0 ? '' : folded(name, content);
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

const SPEED = { name: 'whole pipeline, frames per second', scale: 'log' } as const;

function accuracy(rows: readonly Row[], models: readonly ModelFacts[]): string {
  const note =
    'Top-1 on ImageNet as the authors published it for the float weights; quantising reduces it. The line is the Pareto front: no model is better in both.';
  const drawn = againstSpeed('Top-1 and frames per second', rows, models, ({ accuracy: top1 }) => top1, {
    name: 'top-1, %',
    scale: 'near',
  });
  return drawn && `${drawn}<p class="note">${note}</p>`;
}

function multiplyAdds(rows: readonly Row[], models: readonly ModelFacts[]): string {
  return againstSpeed('Multiply-adds and frames per second', rows, models, ({ multiplyAdds: cost }) => cost, {
    name: 'multiply-adds, millions',
    scale: 'log',
  });
}

/** A point for each model, at the rate of its fastest row; none for fewer than two models. */
function againstSpeed(
  title: string,
  rows: readonly Row[],
  models: readonly ModelFacts[],
  pick: (model: ModelFacts) => number | null,
  y: Axis,
): string {
  const rates = fastest(rows);
  const series = new Map<string, { x: number; y: number; label: string }[]>();
  for (const model of models) {
    const [x, value] = [rates.get(model.name), pick(model)];
    if (x === undefined || value === null) continue;
    const kind = parseMember(model.name)?.precision ?? 'other models';
    series.set(kind, [...(series.get(kind) ?? []), { x, y: value, label: model.name }]);
  }
  const all = [...series].map(([name, points]) => ({ name, points, line: false }));
  if (all.flatMap(({ points }) => points).length < 2) return '';
  return plot({ title, x: SPEED, y, front: true, series: all, height: 460 });
}

/** The first model's breakdown, and the others' collapsed. */
function breakdowns(models: readonly ModelFacts[]): string {
  const [first, ...others] = models.filter(({ operators: found }) => found.length > 0);
  if (!first) return '';
  return [operators(first), ...others.map((model) => folded(model.name, operators(model)))].join('\n');
}

function operators({ name, operators: found }: ModelFacts): string {
  const total = found.reduce((sum, { microseconds }) => sum + microseconds, 0);
  const rows = found.slice(0, 12).map((operator) => ({
    name: `${operator.name} × ${operator.count}`,
    values: [operator.microseconds],
    shown: `${figure(operator.microseconds)} (${((100 * operator.microseconds) / total).toFixed(0)} %)`,
  }));
  if (rows.length === 0) return '';
  return bars(`${name}: microseconds of one inference with one thread, by operator`, rows);
}

/** Rate, latency, clock and temperature over time. */
function longRun({ point, samples, verdict }: Sustained): string {
  const spans = throttledSpans(samples);
  const over = (y: string, scale: Axis['scale'], pick: (sample: SustainSample) => number | null) => {
    const points = samples.flatMap((sample) => {
      const value = pick(sample);
      return value === null ? [] : [{ x: sample.t, y: value }];
    });
    const title = y[0]!.toUpperCase() + y.slice(1);
    const axes = { x: { name: 'seconds', scale: 'zero' }, y: { name: y, scale } } as const;
    return plot({ title, ...axes, spans, height: 240, series: [{ name: y, points, line: true }] });
  };
  return [
    `<p><b>${escapeHtml(keyOf(point))}</b>: ${escapeHtml(verdict.text)}</p>`,
    over('frames per second', 'zero', ({ fps }) => fps),
    over('frame to decision p90, ms', 'zero', ({ latencyP90 }) => latencyP90),
    over('clock, MHz', 'zero', ({ mhz }) => mhz),
    over('temperature, °C', 'near', ({ temperature_c }) => temperature_c),
    over('power, W', 'zero', ({ watts }) => watts),
  ].join('\n');
}

/** When the board throttled. */
function throttledSpans(samples: readonly SustainSample[]): { from: number; to: number; name: string }[] {
  const spans: { from: number; to: number; name: string }[] = [];
  let open = false;
  for (const { t, throttled } of samples) {
    if (throttled && !open) spans.push({ from: t, to: t, name: 'the board throttles' });
    else if (throttled) spans.at(-1)!.to = t;
    open = throttled === true;
  }
  return spans;
}

function failures({ rows, leftOut, sustainFailure }: Report): string {
  const lines = [
    ...rows.flatMap(({ key, failures: found }) =>
      found.map(({ code, message }) => `${key}: ${code}: ${message}`),
    ),
    ...leftOut.map((key) => `${key}: skipped, no time left`),
    ...(sustainFailure ? [`long run: ${sustainFailure.code}: ${sustainFailure.message}`] : []),
  ].map((line) => `<li>${escapeHtml(line)}</li>`);
  return lines.length === 0 ? '' : `<ul>${lines.join('')}</ul>`;
}

function facts({ provenance, models, rows }: Report): string {
  const where = Object.entries(provenance).map(([key, value]) => [key, value === null ? '–' : String(value)]);
  where.push(...kernelsOf(rows).map((text) => ['int8 kernel', text]));
  const known = models.map(({ name, sha256, bytes, input, multiplyAdds: cost }) => [
    name,
    input,
    `${(bytes / 1e6).toFixed(2)} MB`,
    figure(cost),
    sha256,
  ]);
  return tableOf(['', ''], where) + tableOf(['model', 'input', 'size', 'multiply-adds, M', 'sha256'], known);
}

const folded = (title: string, content: string) =>
  `<details><summary>${escapeHtml(title)}</summary>${content}</details>`;

function tableOf(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${row(head, 'th')}${lines.map((line) => row(line, 'td')).join('')}</table>`;
}
