import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Command, Option } from 'commander';
import { outputFailed } from '../errors.ts';
import { parseTime } from '../runtime/time-text.ts';
import { DETECTION_COLUMNS, EVENT_COLUMNS, SAMPLE_COLUMNS } from '../store/event-rows.ts';
import type { Table } from '../store/log-reader.ts';
import { type LogOptions, openLog, withLog } from './options.ts';
import { chunks, writeText } from './text-output.ts';

interface Options extends LogOptions {
  format: 'csv' | 'json';
  table: Table;
  since?: string;
  until?: string;
  out?: string;
}

/** Without `clock`, the number of a setting of the clock, which has a meaning only inside Lookout. */
function exported(columns: readonly string[]): readonly string[] {
  return columns.filter((name) => name !== 'clock');
}

const COLUMNS: Record<Table, readonly string[]> = {
  events: exported(EVENT_COLUMNS),
  detections: exported(DETECTION_COLUMNS),
  samples: exported(SAMPLE_COLUMNS),
};

/** Columns that hold milliseconds since 1970, and columns that hold JSON. */
const TIMES = new Set(['started_at', 'ended_at', 'captured_at', 'at']);
const JSONS = new Set(['reason', 'throttle_reasons', 'cameras']);

/** `lookout export`: works whether the daemon is running or not. */
export function exportCommand(program: Command): void {
  withLog(program.command('export').description('export events, detections or health samples as CSV or JSON'))
    .addOption(new Option('--format <format>', 'file format').choices(['csv', 'json']).makeOptionMandatory())
    .addOption(
      new Option('--table <table>', 'what to export').choices(Object.keys(COLUMNS)).default('events'),
    )
    .option('--since <time>', 'only rows since this date, or since a time ago: 30m, 2h, 7d')
    .option('--until <time>', 'only rows before this date or time ago')
    .option('-o, --out <file>', 'file to write; by default standard output')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ lookout export --format csv --since 7d --out week.csv',
        '  $ lookout export --format json --table detections --since 2026-01-31 --until 2026-02-01',
      ].join('\n'),
    )
    .action(exportLog);
}

async function exportLog(options: Options): Promise<void> {
  const now = Date.now();
  const { since, until, out, table } = options;
  const from = since === undefined ? Number.MIN_SAFE_INTEGER : parseTime('--since', since, now);
  const to = until === undefined ? Number.MAX_SAFE_INTEGER : parseTime('--until', until, now);
  const reader = await openLog(options);
  try {
    const rows = reader.rows(table, from, to);
    const text = options.format === 'csv' ? csv(COLUMNS[table], rows) : json(COLUMNS[table], rows);
    if (out === undefined) await writeText(text, process.stdout);
    else await pipeline(Readable.from(chunks(text)), createWriteStream(out));
  } catch (error) {
    const { syscall } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error;
    // The error handler of standard output in program.ts reports its errors.
    if (out !== undefined) throw outputFailed(`--out ${out}`, error);
  } finally {
    reader.close();
  }
}

type Row = Record<string, unknown>;

/** Comma-separated values (RFC 4180) with a header line. */
export function* csv(columns: readonly string[], rows: Iterable<Row>): Generator<string> {
  yield `${columns.join(',')}\r\n`;
  for (const row of rows) yield `${columns.map((name) => quoted(readable(name, row[name]))).join(',')}\r\n`;
}

/** One JSON array, one row per line. */
export function* json(columns: readonly string[], rows: Iterable<Row>): Generator<string> {
  let before = '[\n';
  for (const row of rows) {
    const fields = columns.map((name) => [name, parsed(name, readable(name, row[name]))]);
    yield before + JSON.stringify(Object.fromEntries(fields));
    before = ',\n';
  }
  yield before === '[\n' ? '[]\n' : '\n]\n';
}

function readable(column: string, value: unknown): unknown {
  return TIMES.has(column) && typeof value === 'number' ? new Date(value).toISOString() : value;
}

function parsed(column: string, value: unknown): unknown {
  return JSONS.has(column) && typeof value === 'string' ? JSON.parse(value) : value;
}

function quoted(value: unknown): string {
  const text = value === null || value === undefined ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
