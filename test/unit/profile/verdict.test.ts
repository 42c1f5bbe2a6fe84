import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SustainSample } from '../../../src/profile/profile-types.ts';
import { isSettled, judge } from '../../../src/profile/verdict.ts';

/** A run, second by second. */
function run(seconds: number, at: (t: number) => Partial<SustainSample>): SustainSample[] {
  return Array.from({ length: seconds }, (_, index) => {
    const t = index + 1;
    const usual = { fps: 20, latencyP50: 40, latencyP90: 45, mhz: 1800, watts: null };
    const calm = { temperature_c: 60, throttled: false, throttle_reasons: [] };
    return { t, ...usual, ...calm, ...at(t) };
  });
}

const warming = (t: number) => 80 - 35 * Math.exp(-t / 200);

test('a board that is still warming up has not settled; one whose heat stays has', () => {
  assert.equal(isSettled([]), false);
  assert.equal(isSettled(run(400, (t) => ({ temperature_c: warming(t) }))), false);
  assert.equal(isSettled(run(1500, (t) => ({ temperature_c: warming(t) }))), true);
  assert.equal(isSettled(run(120, () => ({}))), false, 'too short to say');
});

test('a board without a thermometer has settled when its rate is steady', () => {
  const blind = { temperature_c: null };
  assert.equal(isSettled(run(300, () => blind)), true);
  assert.equal(isSettled(run(300, (t) => ({ ...blind, fps: 20 - t / 100 }))), false);
});

test('a board that slows itself down is told with when, why, and what it can hold from then on', () => {
  const verdict = judge(
    run(1800, (t) => ({
      temperature_c: warming(t),
      ...(t > 400
        ? { fps: t % 2 === 0 ? 12 : 12.4, throttled: true, throttle_reasons: ['frequency-capped'] }
        : {}),
    })),
  );
  assert.equal(verdict.throttledAt, 401);
  assert.deepEqual(verdict.reasons, ['frequency-capped']);
  assert.equal(verdict.startFps, 20);
  assert.ok(Math.abs(verdict.holdFps! - 12.2) < 0.05, String(verdict.holdFps));
  assert.match(verdict.text, /slowed itself down after 401 s \(frequency-capped\)/);
  assert.match(verdict.text, /fell from 20\.0 fps to 12\.2 fps.*can hold 12\.2 fps for ever/);
});

test('a run that is too short does not promise anything', () => {
  const verdict = judge(run(60, (t) => ({ temperature_c: warming(t) })));
  assert.equal(verdict.holdFps, null);
  assert.match(verdict.text, /After 60 s it had not come to rest/);
  assert.match(verdict.text, /did not slow itself down/);
});

test('a machine that says nothing of its heat is taken at its word', () => {
  const verdict = judge(run(400, () => ({ temperature_c: null, throttled: null })));
  assert.equal(verdict.peakTemperature, null);
  assert.match(
    verdict.text,
    /^This machine shows no temperature\. It does not say whether it slows itself down\./,
  );
  assert.match(verdict.text, /can hold 20\.0 fps for ever/);
});
