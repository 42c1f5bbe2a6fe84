/** Time budget of each round of a sweep. */

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
  /** The budget of the next round; null if no time is left for it. `eachMs` is the expected total time of a round. */
  budget: (step: Step) => Budget | null;
  eachMs: number;
}

/** Time to start, warm up and stop a process, twice, on a fast machine. */
const OVERHEAD_MS = 3000;
/** Planned time of a quick sweep, the time after which it starts no other round, and the shortest useful round. */
const QUICK_MS = 45_000;
const LATEST_MS = 55_000;
const LEAST_MS = 1500;
const STANDARD = { pipelineMs: 2000, pacedMs: 2000, inferenceMs: 3000, rounds: 3 };
const FULL = { pipelineMs: 3000, pacedMs: 3000, inferenceMs: 20_000, rounds: 3 };

/** @param beforeMs time since the start of the command */
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

/** Distributes the remaining time of a quick sweep, using the overhead observed so far. */
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
