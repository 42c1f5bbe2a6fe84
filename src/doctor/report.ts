/** The report of `lookout doctor` for people. */
import { printableLines } from '../runtime/printable.ts';
import { type Finding, worst } from './check.ts';

const CONCLUSION = {
  ok: 'No problems found.',
  warn: 'Everything works, but see the lines marked warn.',
  fail: 'Something does not work. See the lines marked fail.',
};

export function report(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, verdict, found, advice }) => [
    `${verdict.padEnd(4)}  ${check.padEnd(width)}  ${printableLines(found)}`,
    ...(advice === null ? [] : [`      ${' '.repeat(width)}  → ${printableLines(advice)}`]),
  ]);
  return `${[...lines, '', CONCLUSION[worst(findings)]].join('\n')}\n`;
}
