import assert from 'node:assert/strict';
import { test } from 'node:test';
import { localTime, parseTime } from '../../../src/runtime/time-text.ts';

const NOW = new Date(2026, 0, 31, 18, 5, 9).getTime();

test('a time is how long ago, or a date', () => {
  const at = (text: string) => parseTime('--since', text, NOW);
  assert.equal(at('90s'), NOW - 90_000);
  assert.equal(at('30m'), NOW - 30 * 60_000);
  assert.equal(at('1.5h'), NOW - 90 * 60_000);
  assert.equal(at('7d'), NOW - 7 * 86_400_000);
  assert.equal(at('1w'), NOW - 7 * 86_400_000);
  assert.equal(at('2026-01-30'), new Date(2026, 0, 30).getTime());
  assert.equal(at('2026-01-30T12:30'), new Date(2026, 0, 30, 12, 30).getTime());
  assert.equal(at('2024-02-29'), new Date(2024, 1, 29).getTime());
  assert.equal(at('2026-01-30 12:30:05.5'), new Date(2026, 0, 30, 12, 30, 5).getTime());
  assert.equal(at('2026-01-30T12:30:00Z'), Date.UTC(2026, 0, 30, 12, 30));
  assert.equal(at('2026-01-30T12:30:00+02:00'), Date.UTC(2026, 0, 30, 10, 30));
});

test('anything else is refused with examples', () => {
  for (const text of [
    '',
    'yesterday',
    '5',
    '2x',
    '-2h',
    '2026-13-01',
    '2026-01-31T25:00',
    '2026-02-30',
    '2026-00-10',
    '2025-02-29',
    '2026-04-31T12:00Z',
    '2026-01-31 ',
    '2026-01-31T',
  ]) {
    assert.throws(() => parseTime('--since', text, NOW), {
      code: 'USAGE',
      message: new RegExp(`^--since: expected a time ago .* found "${text}"$`),
    });
  }
});

test('times are shown in local time', () => {
  assert.equal(localTime(NOW), '2026-01-31 18:05:09');
});
