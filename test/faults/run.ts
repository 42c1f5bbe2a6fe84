/**
 * Injects every fault as often as is promised and prints what came of it:
 * `npm run faults [-- --only NAME,NAME] [--times N] [--fast] [--soak] [--json FILE]`
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import { type Fault, type Outcome, recoveryText } from './fault.ts';

interface Result extends Partial<Outcome> {
  fault: string;
  promise: string;
  /** Why the promise does not hold; null: it does. */
  failure: string | null;
  skipped: string | null;
  seconds: number;
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    times: { type: 'string' },
    fast: { type: 'boolean', default: false },
    soak: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});

const results: Result[] = [];
for (const fault of await chosen()) {
  const times = values.times ? Number(values.times) : values.fast ? fault.times.fast : fault.times.full;
  process.stderr.write(`${fault.name} …\n`);
  results.push(await judge(fault, times));
  if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
}
print(results);
process.exitCode = results.some(({ failure }) => failure !== null) ? 1 : 0;

/** The faults that were asked for, in the order of their names; `soak` only if it is named. */
async function chosen(): Promise<Fault[]> {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.ts'));
  const faults: Fault[] = [];
  for (const file of files.sort()) {
    faults.push(...((await import(`./${file}`)) as { faults: Fault[] }).faults);
  }
  const names = values.soak ? ['soak'] : values.only?.split(',');
  const unknown = names?.filter((name) => !faults.some((fault) => fault.name === name)) ?? [];
  if (unknown.length > 0) {
    throw new Error(`--only: no fault ${unknown}; there are ${faults.map(({ name }) => name).join(', ')}`);
  }
  return faults.filter(({ name, times }) => {
    if (names) return names.includes(name);
    return name !== 'soak' && (!values.fast || times.fast > 0);
  });
}

async function judge(fault: Fault, times: number): Promise<Result> {
  const { name, promise, skip = false } = fault;
  const base = { fault: name, promise, failure: null, skipped: null, seconds: 0 };
  if (skip !== false) return { ...base, skipped: skip };
  const began = performance.now();
  const seconds = () => Math.round((performance.now() - began) / 1000);
  try {
    const outcome = await fault.inject(times, values.fast);
    const failure = outcome.lost > 0 ? `${outcome.lost} events were lost` : outcome.broken || null;
    return { ...base, ...outcome, failure, seconds: seconds() };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return { ...base, failure: messageOf(error), seconds: seconds() };
  }
}

function print(all: Result[]): void {
  const rows = all.map((result) => {
    const verdict = result.skipped ? `skipped: ${result.skipped}` : (result.failure ?? 'holds');
    return [
      result.fault,
      String(result.injected ?? '-'),
      String(result.lost ?? '-'),
      String(result.duplicated ?? '-'),
      result.recovery ? recoveryText(result.recovery) : '-',
      verdict.split('\n')[0] ?? '',
      result.notes ?? '',
    ];
  });
  const header = ['fault', 'times', 'lost', 'duplicated', 'recovery', 'promise', 'notes'];
  const table = [header, header.map(() => '---'), ...rows];
  const widths = header.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  for (const row of table) {
    console.log(`| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`);
  }
}
