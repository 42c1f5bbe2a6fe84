import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csv, json } from '../../../src/commands/export-command.ts';

const COLUMNS = ['started_at', 'ended_at', 'label', 'score', 'reason'];
const ROWS = [
  {
    seq: 1,
    started_at: Date.UTC(2026, 0, 31),
    ended_at: null,
    label: 'a "big", red\ncar',
    score: 0.5,
    reason: '{"scores":[0.5]}',
  },
  { seq: 2, started_at: Date.UTC(2026, 1, 1), ended_at: 0, label: 'dog', score: 1, reason: '{}' },
];

test('CSV has a header line and quotes values that need it', () => {
  assert.equal(
    [...csv(COLUMNS, ROWS)].join(''),
    [
      'started_at,ended_at,label,score,reason',
      '2026-01-31T00:00:00.000Z,,"a ""big"", red\ncar",0.5,"{""scores"":[0.5]}"',
      '2026-02-01T00:00:00.000Z,1970-01-01T00:00:00.000Z,dog,1,{}',
      '',
    ].join('\r\n'),
  );
  assert.equal([...csv(['a'], [])].join(''), 'a\r\n');
});

test('JSON is one array with times as text and reasons as objects', () => {
  assert.deepEqual(JSON.parse([...json(COLUMNS, ROWS)].join('')), [
    {
      started_at: '2026-01-31T00:00:00.000Z',
      ended_at: null,
      label: 'a "big", red\ncar',
      score: 0.5,
      reason: { scores: [0.5] },
    },
    {
      started_at: '2026-02-01T00:00:00.000Z',
      ended_at: '1970-01-01T00:00:00.000Z',
      label: 'dog',
      score: 1,
      reason: {},
    },
  ]);
  assert.equal([...json(COLUMNS, [])].join(''), '[]\n');
});
