import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventPayload, healthPayload, markReplayed, statePayload } from '../../../src/publish/payloads.ts';
import { eventChange } from '../../fakes/events.ts';
import { healthSample } from '../../fakes/health.ts';

test('the message of an event has the documented keys, ISO times and fractions', () => {
  assert.deepEqual(JSON.parse(eventPayload(eventChange({}, 'end'))), {
    id: '0192f7c4-9a1b-7c3e-8b52-4f6d2a9c1e07',
    type: 'end',
    camera: 'drive',
    label: 'vehicle',
    score: 0.8123,
    top_score: 0.9,
    box: [0.1, 0.2, 0.3333, 0.4],
    zone: 'gate',
    started_at: '2026-05-01T12:00:00.250Z',
    ended_at: '2026-05-01T12:00:05.000Z',
    snapshot: '2026-05-01/a.jpg',
    model: 'mobilenet_v2',
    reason: { scores: [0.7, 0.8123], threshold: 0.6, hits: 2, window: 5, gate: 'motion' },
    time_uncertain: false,
    replayed: false,
  });
});

test('fields that an open event does not have yet are null', () => {
  const message = JSON.parse(eventPayload(eventChange({ zone: null, snapshot: null })));
  assert.equal(message.type, 'start');
  assert.equal(message.ended_at, null);
  assert.equal(message.zone, null);
  assert.equal(message.snapshot, null);
});

test('a replayed message differs in `replayed` only, and keeps the order of its keys', () => {
  const live = eventPayload(eventChange());
  const replayed = markReplayed(live);
  assert.equal(replayed, live.replace('"replayed":false', '"replayed":true'));
  assert.notEqual(replayed, live);
});

test('a payload that is not a JSON object is sent unchanged', () => {
  assert.equal(markReplayed('not json'), 'not json');
  assert.equal(markReplayed('[1]'), '[1]');
  assert.equal(markReplayed('null'), 'null');
});

test('health is the sample with a readable time', () => {
  const sample = healthSample({ at: Date.UTC(2026, 0, 2), temperature_c: null });
  assert.deepEqual(JSON.parse(healthPayload(sample)), { ...sample, at: '2026-01-02T00:00:00.000Z' });
});

test('states are ON, OFF or a number', () => {
  assert.equal(statePayload(true), 'ON');
  assert.equal(statePayload(false), 'OFF');
  assert.equal(statePayload(0.65), '0.65');
});
