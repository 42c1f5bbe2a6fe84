/**
 * The common shape of the fault tests. Each file `NAME.test.ts` here breaks one thing of a running Lookout, says how
 * often it did so and what came of it. `npm test` does that a few times, `npm run faults` as often as is promised.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULT_LEFT_OUT } from '../support/requires.ts';

/** What came of the injected faults. */
export interface Outcome {
  injected: number;
  /** Events that were committed and are gone, altered, or were never published. */
  lost: number;
  /** Messages that came again, which the promise "at least once" allows. */
  duplicated: number;
  /** Milliseconds from the end of each fault (or from its start, if it never ends) until all is well again. */
  recovery: number[];
  /** What was promised besides and did not hold, in a few words. */
  broken?: string | false;
  /** Further figures, in a few words. */
  notes?: string;
}

export interface Fault {
  /** As in the name of its file. */
  name: string;
  /** What must hold, as one sentence: the name of its test. */
  promise: string;
  /** How often the fault is injected: in all, and in `npm test`; 0: not there, because it takes long or all of the processor. */
  times: { full: number; fast: number };
  /** Programs or rights that this machine lacks; false: none. */
  skip?: string | false;
  /**
   * Injects the fault so many times into the real daemon.
   * @throws AssertionError when the promise does not hold
   */
  inject: (times: number, fast: boolean) => Promise<Outcome>;
}

/** Takes part in `npm test` with few injections; does nothing when `npm run faults` loads the file. */
export function define(fault: Fault): Fault {
  if (process.argv[1]?.endsWith('.test.ts')) {
    const skip = fault.times.fast === 0 ? FAULT_LEFT_OUT : (fault.skip ?? false);
    test(fault.promise, { skip }, async (t) => {
      const outcome = await fault.inject(fault.times.fast, true);
      assert.equal(outcome.lost, 0, `${outcome.lost} events were lost`);
      assert.ok(!outcome.broken, outcome.broken || '');
      t.diagnostic(`${describe(outcome)}${outcome.notes ? `; ${outcome.notes}` : ''}`);
    });
  }
  return fault;
}

/** `20 times, 0 lost, 3 duplicated, recovery 812 ms (worst 1203 ms)` */
function describe({ injected, lost, duplicated, recovery }: Outcome): string {
  return `${injected} times, ${lost} lost, ${duplicated} duplicated, ${recoveryText(recovery)}`;
}

/** Median and worst of the recovery times. */
export function recoveryText(recovery: readonly number[]): string {
  if (recovery.length === 0) return 'nothing to recover from';
  const sorted = [...recovery].sort((a, b) => a - b);
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  return `${seconds(sorted[sorted.length >> 1]!)}, worst ${seconds(sorted.at(-1)!)}`;
}
