/** Times as people write and read them. */
import { LookoutError } from '../errors.ts';

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** `2026-01-31 18:05:09` in local time. */
export function localTime(milliseconds: number): string {
  const date = new Date(milliseconds);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/**
 * Reads a point in time: how long ago (`90s`, `30m`, `2h`, `7d`, `1w`) or a date in ISO 8601, local unless it says
 * otherwise (`2026-01-31`, `2026-01-31T18:05`, `2026-01-31T18:05:09Z`).
 * @param option what is being read, for the message
 * @param now wall-clock milliseconds
 * @returns wall-clock milliseconds
 * @throws LookoutError USAGE
 */
export function parseTime(option: string, text: string, now: number): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(text) ?? [];
  if (amount !== undefined && unit !== undefined) return now - Number(amount) * UNIT_MS[unit]!;
  const time = parseDate(text);
  if (time === null) {
    throw new LookoutError(
      'USAGE',
      `${option}: expected a time ago such as 30m, 2h or 7d, or a date such as 2026-01-31T18:05, found "${text}"`,
    );
  }
  return time;
}

const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/** A date of the calendar as milliseconds since 1970; null for anything else, such as February 30. */
function parseDate(text: string): number | null {
  const [, year, month, day, hour = '00', minute = '00', second = '00', zone = ''] = DATE.exec(text) ?? [];
  if (year === undefined || Number(day) > new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()) {
    return null;
  }
  // Without a time it would be midnight in UTC.
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`);
  return Number.isNaN(time) ? null : time;
}
