/** What a test run says on the terminal. */
import { basename } from 'node:path';
import { FAULT_LEFT_OUT, installHint } from '../support/requires.ts';
import type { FileResult } from './file.ts';

/** How many of the slowest tests `--durations` lists. */
const SLOWEST = 40;
const TEST_DATA = /\(set LOOKOUT_TEST_DATA\)$/;

export function printFile({ file, tests, faults, messages, output, ms }: FileResult): void {
  const failed = tests.filter(({ passed }) => !passed);
  const well = failed.length === 0 && faults.length === 0;
  const skipped = tests.filter(({ skipped }) => skipped !== undefined).length;
  const counts = `${count(tests) - skipped} tests${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  console.log(`${well ? '✔' : '✖'} ${file} (${counts}, ${seconds(ms)})`);
  for (const message of messages) console.log(`    ${message}`);
  if (!well) {
    for (const { name, error = '' } of failed) console.log(indent(`✖ ${name}\n${indent(error)}`));
    for (const fault of faults) console.log(indent(`✖ ${fault}`));
    if (output.trim() !== '') console.log(indent(`printed:\n${indent(output.trim())}`));
  }
}

interface RunFacts {
  ms: number;
  seed: number;
  /** Processes that the tests started and that still run. */
  left: string[];
  durations: boolean;
}

/** @returns whether anything failed */
export function printSummary(results: FileResult[], { ms, seed, left, durations }: RunFacts): boolean {
  const all = results.flatMap(({ file, tests }) => tests.map((test) => ({ file, ...test })));
  if (durations) {
    console.log('\nslowest:');
    const slowest = all.filter(({ type }) => type === 'test').sort((a, b) => b.ms - a.ms);
    for (const { file, name, ms } of slowest.slice(0, SLOWEST)) {
      console.log(`  ${seconds(ms).padStart(8)}  ${basename(file)}: ${name}`);
    }
  }
  const faults = results.flatMap(({ file, faults }) => faults.map((fault) => `${file}: ${fault}`));
  const failures = all.filter(({ passed }) => !passed).map(({ file, name }) => `${file}: ${name}`);
  const wrong = [...failures, ...faults, ...left.map((process) => `left running: ${process}`)];
  if (wrong.length > 0) console.log(`\nfailed:\n${wrong.map((line) => indent(line)).join('\n')}`);

  const groups = all.filter(({ type, skipped }) => type === 'suite' && skipped !== undefined).length;
  const reasons = all.flatMap(({ skipped }) =>
    skipped === undefined || skipped === FAULT_LEFT_OUT ? [] : [skipped],
  );
  const leftOut = all.filter(({ skipped }) => skipped === FAULT_LEFT_OUT).length;
  console.log(
    `\n${count(all) - reasons.length - leftOut} tests in ${results.length} files, ${seconds(ms)}, seed ${seed}: ${wrong.length} failed`,
  );
  console.log(
    reasons.length === 0
      ? 'none skipped'
      : `${reasons.length} skipped${groups > 0 ? ` (${groups} of them groups of tests)` : ''}: ${grouped(reasons)}`,
  );
  if (leftOut > 0) console.log(`${leftOut} faults are left out; \`npm run faults\` injects them`);
  return wrong.length > 0;
}

/** A block that is skipped counts as one test, any other by its tests. */
const count = (tests: FileResult['tests']) =>
  tests.filter(({ type, skipped }) => type === 'test' || skipped !== undefined).length;

/** `66 need mosquitto (apt-get install mosquitto), 3 need …`: the most frequent first. */
function grouped(reasons: string[]): string {
  const groups = new Map<string, number>();
  for (const reason of reasons) {
    const group = TEST_DATA.test(reason)
      ? 'needs files in ../shared (or where LOOKOUT_TEST_DATA points)'
      : reason;
    groups.set(group, (groups.get(group) ?? 0) + 1);
  }
  return [...groups]
    .sort((a, b) => b[1] - a[1])
    .map(([reason, times]) => {
      const need = reason.startsWith('needs ')
        ? ` ${times === 1 ? 'needs' : 'need'} ${reason.slice(6).replace(', not installed here', '')}`
        : `: ${reason}`;
      return `${times}${need}${installHint(reason)}`;
    })
    .join(', ');
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
const indent = (text: string) => text.replace(/^(?=.)/gm, '    ');
