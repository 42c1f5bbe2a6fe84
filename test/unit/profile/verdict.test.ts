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

test('a board that is warming up is not stable; one with a constant temperature is', () => {
  assert.equal(isSettled([]), false);
  assert.equal(isSettled(run(400, (t) => ({ temperature_c: warming(t) }))), false);
  assert.equal(isSettled(run(1500, (t) => ({ temperature_c: warming(t) }))), true);
  assert.equal(isSettled(run(120, () => ({}))), false, 'too short to say');
});

test('a board without a thermometer is stable if its rate is', () => {
  const blind = { temperature_c: null };
  assert.equal(isSettled(run(300, () => blind)), true);
  assert.equal(isSettled(run(300, (t) => ({ ...blind, fps: 20 - t / 100 }))), false);
});

test('a throttled board is reported with the time, the reason and the sustainable rate', () => {
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
  assert.match(verdict.text, /throttled after 401 s \(frequency-capped\)/);
  assert.match(verdict.text, /fell from 20\.0 fps to 12\.2 fps.*can sustain 12\.2 fps\./);
});

test('a run that is too short gives no sustainable rate', () => {
  const verdict = judge(run(60, (t) => ({ temperature_c: warming(t) })));
  assert.equal(verdict.holdFps, null);
  assert.match(verdict.text, /It was not stable after 60 s/);
  assert.match(verdict.text, /did not throttle/);
});

test('a machine without sensors is reported as such', () => {
  const verdict = judge(run(400, () => ({ temperature_c: null, throttled: null })));
  assert.equal(verdict.peakTemperature, null);
  assert.match(verdict.text, /^This machine reports no temperature\. It does not report throttling\./);
  assert.match(verdict.text, /can sustain 20\.0 fps\./);
});
