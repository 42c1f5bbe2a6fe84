import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { adoptTimeZone } from '../../../src/runtime/time-zone.ts';

const HOURS = [
  Date.UTC(2026, 0, 15, 12),
  Date.UTC(2026, 6, 15, 12),
  Date.UTC(2027, 2, 28, 1),
  Date.UTC(2026, 9, 4, 3),
];

function adopt(TZ: string): { zone: string | undefined; warning: string | null } {
  const env: NodeJS.ProcessEnv = { TZ };
  const warning = adoptTimeZone(env, Date.UTC(2026, 10, 29));
  return { zone: env.TZ, warning };
}

/** What another implementation shows, glibc's. */
function dateShows(TZ: string, moment: number): string {
  return execFileSync('date', ['-d', `@${moment / 1000}`, '+%F %H:%M'], {
    env: { TZ },
    encoding: 'utf8',
  }).trim();
}

function zoneShows(timeZone: string, moment: number): string {
  const options = { timeZone, dateStyle: 'short', timeStyle: 'short' } as const;
  return new Intl.DateTimeFormat('sv-SE', options).format(moment);
}

describe('adoptTimeZone', () => {
  for (const TZ of [
    'CET-1CEST,M3.5.0,M10.5.0/3',
    'EST5EDT,M3.2.0,M11.1.0',
    'EST5EDT4,M3.2.0/2,M11.1.0/2',
    'NZST-12NZDT,M9.5.0,M4.1.0/3',
    '<+1030>-10:30<+11>-11,M10.1.0,M4.1.0',
    '<+0530>-5:30',
    'IST-5:30',
    'GMT0BST,M3.5.0/1,M10.5.0',
    '<-03>3',
    'UTC0',
    'GMT+5',
    'JST-9',
  ]) {
    it(`finds a zone that shows what \`date\` shows for ${TZ}`, () => {
      const { zone, warning } = adopt(TZ);
      assert.equal(warning, null);
      for (const moment of HOURS) assert.equal(zoneShows(zone!, moment), dateShows(TZ, moment));
    });
  }

  it('leaves names alone, but for what glibc allows around them', () => {
    for (const name of ['Europe/Berlin', 'UTC', 'CET', 'Etc/GMT-3', 'EST5EDT'])
      assert.deepEqual(adopt(name), { zone: name, warning: null });
    for (const text of [
      ':Europe/Berlin',
      '/usr/share/zoneinfo/Europe/Berlin',
      'posix/Europe/Berlin',
      'europe/berlin',
    ])
      assert.deepEqual(adopt(text), { zone: 'Europe/Berlin', warning: null }, text);
    assert.deepEqual(adopt(''), { zone: '', warning: null });
  });

  it('warns about what is no zone and takes UTC', () => {
    for (const text of [
      'Nonsense',
      '+05:00',
      'XYZ-3:17',
      'CET-1CEST,M13.9.0,M10.5.0',
      '\u0000',
      'Europe/Bärlin',
    ]) {
      const { zone, warning } = adopt(text);
      assert.equal(zone, 'UTC', text);
      assert.match(warning ?? '', /TZ is ".*", which is not a known time zone; times are shown in UTC/);
    }
  });
});
