/** The table that the bench prints, and whether every row of it is met. */
import { median } from '../../src/profile/statistics.ts';

export interface Row {
  what: string;
  /** What was measured, one value for each round; or why nothing was. */
  measured: readonly number[] | string;
  /** `≥ 0.97`; without a limit the row only informs. */
  limit?: { atLeast: number } | { atMost: number };
  digits?: number;
  unit?: string;
}

/** A row that was not measured falls short of nothing. */
export function isMet({ measured, limit }: Row): boolean {
  if (typeof measured === 'string' || !limit) return true;
  const value = median(measured);
  return 'atLeast' in limit ? value >= limit.atLeast : value <= limit.atMost;
}

/** One line: what, median, spread of the rounds, what is wanted, verdict. */
export function formatRow(row: Row): string {
  const { what, measured, limit, digits = 2, unit = '' } = row;
  const wanted = !limit ? '' : 'atLeast' in limit ? `≥ ${limit.atLeast}` : `≤ ${limit.atMost}`;
  if (typeof measured === 'string') return `${what.padEnd(62)} ${wanted.padEnd(8)} not measured: ${measured}`;
  const show = (value: number) => value.toFixed(digits);
  const spread =
    measured.length > 1 ? `(${show(Math.min(...measured))} … ${show(Math.max(...measured))})` : '';
  const value = `${show(median(measured))}${unit && ` ${unit}`}`;
  const verdict = isMet(row) ? '' : 'FALLS SHORT';
  return `${what.padEnd(62)} ${wanted.padEnd(8)} ${value.padStart(12)} ${spread.padEnd(22)} ${verdict}`.trimEnd();
}
