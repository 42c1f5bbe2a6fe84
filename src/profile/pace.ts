/** How long each round of a sweep may take. */

import type { Budget } from './profile-types.ts';
import type { Step } from './sweep.ts';

export interface PaceOptions {
  quick?: boolean;
  full?: boolean;
  /** Rate of the paced part. */
  fps: number;
  rounds?: number;
  /** Length of each part of a round. */
  seconds?: number;
}

export interface Pace {
  rounds: number;
  /** What the next round may take, without and with what comes on top of it; null when there is no time left for it. */
  budget: (step: Step) => Budget | null;
  eachMs: number;
}

/** What a process takes to start, warm up and stop, twice, on a fast machine. */
const OVERHEAD_MS = 3000;
/** What a quick sweep is planned to take, when it begins no further round, and the least that is worth measuring. */
const QUICK_MS = 45_000;
const LATEST_MS = 55_000;
const LEAST_MS = 1500;
const STANDARD = { pipelineMs: 2000, pacedMs: 2000, inferenceMs: 3000, rounds: 3 };
const FULL = { pipelineMs: 3000, pacedMs: 3000, inferenceMs: 20_000, rounds: 3 };

/** @param beforeMs what has passed since the command was given */
export function paceOf(
  { quick, full, seconds, fps, rounds }: PaceOptions,
  points: number,
  beforeMs: number,
): Pace {
  if (seconds !== undefined || !quick) {
    const { rounds: usual, ...parts } = full ? FULL : STANDARD;
    const ms = 1000 * (seconds ?? 0);
    const same = { pipelineMs: ms, pacedMs: ms, inferenceMs: ms };
    const budget = { ...(seconds === undefined ? parts : same), fps, multiStream: !quick };
    const eachMs = OVERHEAD_MS + budget.pacedMs + budget.pipelineMs + 1.5 * budget.inferenceMs;
    return { rounds: rounds ?? (quick ? 1 : usual), budget: () => budget, eachMs };
  }
  const times = rounds ?? 1;
  const eachMs = (QUICK_MS - beforeMs) / (points * times);
  return { rounds: times, budget: quickBudget(fps, beforeMs), eachMs };
}

/** Shares out what is left of a quick sweep's time, learning what comes on top of the measuring. */
function quickBudget(fps: number, beforeMs: number): Pace['budget'] {
  let spent = 0;
  return ({ done, total, elapsedMs }) => {
    const overhead = done > 0 ? (elapsedMs - spent) / done : OVERHEAD_MS;
    const passed = beforeMs + elapsedMs;
    if (done > 0 && passed + overhead + LEAST_MS > LATEST_MS) return null;
    const each = Math.max(LEAST_MS, (QUICK_MS - passed) / (total - done) - overhead);
    spent += each;
    return { pacedMs: 0.3 * each, pipelineMs: 0.25 * each, inferenceMs: 0.3 * each, fps, multiStream: false };
  };
}
