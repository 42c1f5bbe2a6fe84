/** Writes and reads reports: JSON for programs and `compare`, CSV for spreadsheets, HTML for users. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { LookoutError, messageOf } from '../../errors.ts';
import { createDraft } from '../../runtime/own-files.ts';
import { STAGES } from '../../runtime/stage-times.ts';
import { writeWhole } from '../../runtime/write-file.ts';
import { METRICS, type Metric, REPORT_VERSION, type Report } from '../profile-types.ts';
import { html } from './html.ts';

/** Checks before a long measurement whether a report can be written. @throws LookoutError PROFILE_UNWRITABLE */
export async function checkWritable(name: string): Promise<void> {
  try {
    const draft = await createDraft(name);
    await draft.discard();
  } catch (cause) {
    throw new LookoutError(
      'PROFILE_UNWRITABLE',
      `--out ${name}: cannot write the report: ${messageOf(cause)}`,
      {
        cause,
        hint: 'Use a name in an existing folder that you can write to.',
      },
    );
  }
}

/** Writes NAME.json, NAME.csv and NAME.html. @returns their paths */
export async function writeReport(report: Report, name: string): Promise<string[]> {
  const contents = { json: `${JSON.stringify(report, null, 1)}\n`, csv: csv(report), html: html(report) };
  const files: string[] = [];
  for (const [kind, content] of Object.entries(contents)) {
    const file = `${name}.${kind}`;
    await writeWhole(file, Buffer.from(content), 'PROFILE_UNWRITABLE');
    files.push(file);
  }
  return files;
}

const estimate = z.looseObject({
  value: z.number(),
  low: z.number(),
  high: z.number(),
  rounds: z.array(z.array(z.number())).min(1),
});
const nullable = z.number().nullable();
const row = z.looseObject({
  key: z.string(),
  point: z.looseObject({ model: z.string() }),
  sha256: z.string().nullable(),
  metrics: z.record(z.string(), estimate),
  stamps: z.array(z.looseObject({ after: z.looseObject({ others_percent: nullable }) })),
});
/** What a comparison reads. */
const readable = z.looseObject({
  format: z.literal('lookout-profile'),
  version: z.literal(REPORT_VERSION),
  provenance: z.looseObject({ at: z.string(), host: z.string(), cores: z.number(), onnxruntime: z.string() }),
  fps: z.number(),
  rounds: z.number(),
  rows: z.array(row),
});

/** @throws LookoutError PROFILE_INVALID */
export async function readReport(file: string): Promise<Report> {
  try {
    return readable.parse(JSON.parse(await readFile(file, 'utf8'))) as unknown as Report;
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    throw new LookoutError('PROFILE_INVALID', `${file} is not a report of this version: ${reason}`, {
      cause,
      hint: 'Make the report again with `lookout profile --out NAME`.',
    });
  }
}

/** One line for each row, with everything that was measured and where. RFC 4180. */
export function csv({ provenance, rows, models, fps }: Report): string {
  const metrics = Object.keys(METRICS) as Metric[];
  const parts = ['pipeline', 'paced'] as const;
  const figures = ['p50', 'p90', 'p99', 'max'] as const;
  const where = Object.entries(provenance);
  const columns = [
    'model',
    'sha256',
    'multiply_adds_millions',
    'threads',
    'sessions',
    'provider',
    'spinning',
    'exact',
    'int8_kernel',
    'width',
    'height',
    'source',
    'paced_fps_wanted',
    'paced_fps',
    ...metrics.flatMap((metric) => [metric, `${metric}_low`, `${metric}_high`]),
    'single_stream_queries',
    'multi_stream_queries',
    ...parts.flatMap((part) =>
      STAGES.flatMap((stage) => figures.map((figure) => `${part}_${stage}_${figure}_ms`)),
    ),
    'temperature_c',
    'mhz',
    'throttled',
    'throttle_reasons',
    'others_percent',
    'error',
    ...where.map(([key]) => key),
  ];
  const lines = rows.map((row) => {
    const { point, stamps } = row;
    const facts = models.find(({ name }) => name === point.model);
    const after = stamps.at(-1)?.after;
    return [
      point.model,
      row.sha256,
      facts?.multiplyAdds,
      point.threads,
      point.sessions,
      point.provider,
      point.spinning,
      point.exact,
      row.kernel?.name,
      point.width,
      point.height,
      point.source,
      fps,
      row.pacedFps,
      ...metrics.flatMap((metric) => {
        const found = row.metrics[metric];
        return [found?.value, found?.low, found?.high];
      }),
      row.singleStream?.latency.count,
      row.multiStream?.latency.count,
      ...parts.flatMap((part) =>
        STAGES.flatMap((stage) => figures.map((figure) => row.stages?.[part][stage]?.[figure])),
      ),
      after?.temperature_c,
      after?.mhz,
      after?.throttled,
      after?.throttle_reasons.join(' '),
      after?.others_percent,
      row.failures.map(({ code }) => code).join(' '),
      ...where.map(([, value]) => value),
    ];
  });
  return [columns, ...lines].map((line) => `${line.map(cell).join(',')}\r\n`).join('');
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'number' ? String(Math.round(value * 1e6) / 1e6) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
