/** Signals that ask a process to end. */
import { constants } from 'node:os';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
type StopSignal = (typeof SIGNALS)[number];

const endNow = (signal: StopSignal) => process.exit(128 + constants.signals[signal]);

/**
 * Gives the first process of a container what all others have: the kernel ignores signals to process 1 that it does not
 * handle itself (pid_namespaces(7)), so `docker stop` would wait its ten seconds in vain.
 */
export function endOnSignals(): void {
  if (process.pid !== 1) return;
  for (const signal of SIGNALS) process.once(signal, endNow);
}

/** Takes the signals over: from now on they only call `stop`, once. */
export function takeSignals(stop: (signal: StopSignal) => void): void {
  for (const signal of SIGNALS) {
    process.once(signal, () => stop(signal));
    process.removeListener(signal, endNow);
  }
}
