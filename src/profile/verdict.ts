/** Evaluates a long run: whether it became stable, whether the board throttled, and which rate it can sustain. Pure. */

import type { SustainSample, SustainVerdict } from './profile-types.ts';
import { median, percentile, slope } from './statistics.ts';

/** The temperature is stable if it changes by less than this over these seconds. */
const REST_SECONDS = 180;
const REST_DEGREES_PER_MINUTE = 0.2;
/** Without a thermometer, the rate may vary by this share between the thirds of those seconds. */
const REST_RATE = 0.02;
/** Rates are averaged over this many seconds; the worst tenth of the averages is the sustainable rate. */
const BLOCK_SECONDS = 10;
const WORST = 0.1;
const START_SECONDS = 30;
/** A smaller drop of the rate is not reported. */
const FALL = 0.03;

/** Whether the temperature, or without a thermometer the rate, is stable. */
export function isSettled(samples: readonly SustainSample[]): boolean {
  const end = samples.at(-1);
  const first = samples[0];
  if (!end || !first || end.t - first.t < REST_SECONDS) return false;
  const recent = samples.filter(({ t }) => t > end.t - REST_SECONDS);
  const temperatures = recent.flatMap(({ t, temperature_c }) =>
    temperature_c === null ? [] : [[t, temperature_c] as const],
  );
  if (temperatures.length > recent.length / 2)
    return Math.abs(60 * slope(temperatures)) < REST_DEGREES_PER_MINUTE;
  const thirds = [0, 1, 2].map((third) => {
    const length = Math.floor(recent.length / 3);
    return median(recent.slice(third * length, (third + 1) * length).map(({ fps }) => fps));
  });
  return (Math.max(...thirds) - Math.min(...thirds)) / Math.max(...thirds) < REST_RATE;
}

/** @param samples at least one */
export function judge(samples: readonly SustainSample[]): SustainVerdict {
  const settled = isSettled(samples);
  const hot = samples.find(({ throttled }) => throttled === true);
  const end = samples.at(-1)!.t;
  const startFps = rate(samples.filter(({ t }) => t <= START_SECONDS));
  const rest = samples.filter(({ t }) => t > end - REST_SECONDS);
  const endFps = rate(samples.filter(({ t }) => t > end - START_SECONDS));
  const temperatures = samples.flatMap(({ temperature_c }) => temperature_c ?? []);
  const known = samples.some(({ throttled }) => throttled !== null);
  const verdict = {
    settled,
    throttledAt: hot?.t ?? null,
    reasons: [
      ...new Set(samples.flatMap(({ throttled, throttle_reasons }) => (throttled ? throttle_reasons : []))),
    ],
    startFps,
    endFps,
    holdFps: settled ? sustainable(rest) : null,
    peakTemperature: temperatures.length > 0 ? Math.max(...temperatures) : null,
  };
  return { ...verdict, text: describe(verdict, known, end) };
}

function describe(verdict: Omit<SustainVerdict, 'text'>, known: boolean, seconds: number): string {
  const { settled, throttledAt, reasons, startFps, endFps, holdFps, peakTemperature } = verdict;
  const fps = (value: number) => `${value.toFixed(1)} fps`;
  const parts = [
    peakTemperature === null
      ? 'This machine reports no temperature.'
      : `It reached ${peakTemperature.toFixed(1)} °C${settled ? ' and became stable' : ''}.`,
    throttledAt === null
      ? known
        ? 'It did not throttle.'
        : 'It does not report throttling.'
      : `It throttled after ${Math.round(throttledAt)} s (${reasons.join(', ')}).`,
    endFps < (1 - FALL) * startFps
      ? `The rate fell from ${fps(startFps)} to ${fps(endFps)}.`
      : `The rate stayed at ${fps(endFps)}.`,
    holdFps === null
      ? `It was not stable after ${Math.round(seconds)} s: use a longer --sustain to find the rate that it can sustain.`
      : `It can sustain ${fps(holdFps)}.`,
  ];
  return parts.join(' ');
}

/** The rate that nine of ten 10 s intervals reach. */
function sustainable(samples: readonly SustainSample[]): number {
  const blocks: number[] = [];
  for (let at = 0; at < samples.length; at += BLOCK_SECONDS)
    blocks.push(rate(samples.slice(at, at + BLOCK_SECONDS)));
  return percentile(Float64Array.from(blocks).sort(), WORST);
}

function rate(samples: readonly SustainSample[]): number {
  return samples.reduce((sum, { fps }) => sum + fps, 0) / Math.max(1, samples.length);
}
