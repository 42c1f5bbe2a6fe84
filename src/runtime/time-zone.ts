/**
 * The variable TZ in all forms that POSIX and glibc know. Node.js itself takes only names of the IANA database, and
 * shows UTC, or a wrong hour, for the other forms without a word.
 */
import { readlinkSync } from 'node:fs';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * Replaces `env.TZ` by the name of an IANA zone that means the same, if Node.js does not know its form.
 * @param env changed in place; for the environment of the process that takes effect at once
 * @param now wall-clock milliseconds: rules are compared in the two years from then
 * @returns null, or a warning because the zone is unknown and times are shown in UTC
 */
export function adoptTimeZone(env: NodeJS.ProcessEnv, now: number): string | null {
  const text = env.TZ;
  if (text === undefined || text === '') return null;
  const name = zoneName(text);
  const zone = namedZone(name) ?? zoneOfRule(name, now);
  if (zone !== text) env.TZ = zone ?? 'UTC';
  if (zone !== null) return null;
  return `the environment variable TZ is "${text.slice(0, 60)}", which is not a known time zone; times are shown in UTC. Use a name such as Europe/Berlin.`;
}

/** The name of a zone without what glibc allows around it: a colon, the folder of the database, its variants. */
function zoneName(text: string): string {
  let name = text.replace(/^:/, '');
  if (name === '/etc/localtime') {
    try {
      name = readlinkSync(name);
    } catch {
      return name;
    }
  }
  return name.replace(/^.*\/zoneinfo\//, '').replace(/^(posix|right)\//, '');
}

/** A clock change of a POSIX rule, in UTC milliseconds for a year. */
type Change = (year: number) => number;

interface Rule {
  /** Milliseconds east of UTC. */
  standard: number;
  summer: { offset: number; start: Change; end: Change } | null;
}

/** The first IANA zone whose clocks show the same as a POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`. */
function zoneOfRule(text: string, now: number): string | null {
  const rule = parseRule(text);
  if (rule === null) return null;
  const whole = -rule.standard / HOUR_MS;
  if (rule.summer === null && Number.isInteger(whole) && whole >= -14 && whole <= 12) {
    return `Etc/GMT${whole < 0 ? '' : '+'}${whole}`;
  }
  const year = new Date(now).getUTCFullYear();
  const moments = [now, now + 182 * DAY_MS];
  for (const { start, end } of rule.summer ? [rule.summer] : []) {
    for (const change of [start(year), end(year), start(year + 1), end(year + 1)])
      moments.push(change - 1000, change);
  }
  const fits = (zone: string) =>
    moments.every((moment) => offsetOf(zone, moment) === ruleOffset(rule, moment));
  return Intl.supportedValuesOf('timeZone').find(fits) ?? null;
}

/** Parses a rule of POSIX (IEEE Std 1003.1, section 8.3, TZ): std offset [dst [offset] [,start[/time],end[/time]]]. */
function parseRule(text: string): Rule | null {
  const name = '(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)';
  const time = String.raw`[+-]?\d{1,3}(?::\d\d){0,2}`;
  const parts = new RegExp(`^${name}(${time})(?:(${name})(${time})?(?:,([^,]+),([^,]+))?)?$`).exec(text);
  if (!parts) return null;
  const [, west, summerName, summerWest, from = 'M3.2.0', to = 'M11.1.0'] = parts;
  const standard = -milliseconds(west!);
  if (!summerName) return { standard, summer: null };
  const offset = summerWest ? -milliseconds(summerWest) : standard + HOUR_MS;
  const start = parseChange(from, standard);
  const end = parseChange(to, offset);
  return start && end ? { standard, summer: { offset, start, end } } : null;
}

/** @param offset milliseconds east of UTC that the clock shows until the change */
function parseChange(text: string, offset: number): Change | null {
  const [, day, time = '2'] = /^(J?\d{1,3}|M\d{1,2}\.[1-5]\.[0-6])(?:\/(.+))?$/.exec(text) ?? [];
  if (day === undefined) return null;
  const late = milliseconds(time) - offset;
  if (!day.startsWith('M')) {
    const number = Number(day.replace('J', ''));
    if (!day.startsWith('J')) return (year) => Date.UTC(year, 0, number + 1) + late;
    // `J60` is always the first of March, as in a year without a leap day.
    const date = new Date(Date.UTC(2001, 0, number));
    return (year) => Date.UTC(year, date.getUTCMonth(), date.getUTCDate()) + late;
  }
  const [month = 1, week = 1, weekday = 0] = day.slice(1).split('.').map(Number);
  return (year) => {
    const first = new Date(Date.UTC(year, month - 1, 1)).getUTCDay();
    const days = new Date(Date.UTC(year, month, 0)).getUTCDate();
    let date = 1 + ((weekday - first + 7) % 7) + (week - 1) * 7;
    if (date > days) date -= 7;
    return Date.UTC(year, month - 1, date) + late;
  };
}

/** `5:30` as milliseconds. */
function milliseconds(time: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = time.replace(/^[+-]/, '').split(':').map(Number);
  return (time.startsWith('-') ? -1 : 1) * (hours * HOUR_MS + minutes * 60_000 + seconds * 1000);
}

function ruleOffset({ standard, summer }: Rule, moment: number): number {
  if (summer === null) return standard;
  const year = new Date(moment + standard).getUTCFullYear();
  const [start, end] = [summer.start(year), summer.end(year)];
  const isSummer = start < end ? moment >= start && moment < end : moment >= start || moment < end;
  return isSummer ? summer.offset : standard;
}

/** A zone in the spelling of the database, or null if the name is not a zone. */
function namedZone(name: string): string | null {
  // Offsets such as +05:00 are zones for Intl, but mean nothing in TZ.
  if (!/^[A-Za-z]/.test(name)) return null;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    // An alias such as CET stays what it is.
    return timeZone.toLowerCase() === name.toLowerCase() ? timeZone : name;
  } catch {
    return null;
  }
}

/** Milliseconds by which the clocks of a zone are ahead of UTC at a moment. */
function offsetOf(timeZone: string, moment: number): number {
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' });
  const { value = '' } = format.formatToParts(moment).find(({ type }) => type === 'timeZoneName') ?? {};
  return milliseconds(value.replace('GMT', '') || '0');
}
