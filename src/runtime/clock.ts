import { readFileSync } from 'node:fs';

/** Time, injected so that tests can own it. */
export interface Clock {
  /** Wall clock, milliseconds since 1970; may jump. */
  now(): number;
  /** Milliseconds on a clock that never jumps; its zero means nothing. */
  monotonic(): number;
  /** Milliseconds since the machine was started, those in which it was suspended included. */
  sinceBoot(): number;
  /** Calls back once after `ms`, at once if it is negative; the returned function cancels. The timer alone does not keep the process alive. */
  after(ms: number, callback: () => void): () => void;
  /** Calls back every `ms` until cancelled. */
  every(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sinceBoot() {
    // CLOCK_MONOTONIC stands still while the machine is suspended, /proc/uptime does not; that of a container may be its own.
    const awake = Number(process.hrtime.bigint()) / 1e6;
    try {
      return Math.max(awake, 1000 * Number.parseFloat(readFileSync('/proc/uptime', 'latin1')));
    } catch {
      return awake;
    }
  },
  after(ms, callback) {
    const timer = setTimeout(callback, Math.max(0, ms)).unref();
    return () => clearTimeout(timer);
  },
  every(ms, callback) {
    const timer = setInterval(callback, ms).unref();
    return () => clearInterval(timer);
  },
};

/** Resolves after `ms` on the given clock, or as soon as `signal` aborts. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener('abort', done);
  });
}
