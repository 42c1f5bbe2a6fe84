import type { Logger } from 'pino';
import type { Clock } from '../runtime/clock.ts';
import type { RawFrame } from '../types.ts';

/** What a source gets from the daemon. */
export interface SourceContext {
  clock: Clock;
  log: Logger;
  /** Environment of camera programs, with the PATH on which to find them. */
  env: NodeJS.ProcessEnv;
  /** The folder that contains /sys, /proc and /dev; tests use their own. */
  root: string;
}

/** Where a source delivers its frames. */
export interface FrameSink {
  /** A buffer of exactly `bytes` bytes from the frame pool, its content undefined. */
  acquire(bytes: number): ArrayBuffer;
  /** Returns a buffer that was acquired and not delivered. */
  release(buffer: ArrayBuffer): void;
  /** Delivers a complete frame; its buffer changes hands. */
  frame(frame: RawFrame): void;
  /** Resolves when the last frame was analysed, for sources that must not lose any. */
  consumed(): Promise<void>;
  /** Counts a fault that the source survived (a corrupt file, a truncated frame); logged at most once a second. */
  fault(message: string): void;
}

/** One way to get frames. A source does not retry: it throws, and its supervisor restarts it. */
export interface Source {
  /** One line for the log: program, device, size. No secrets. */
  readonly description: string;
  /**
   * Delivers frames until `signal` aborts or the source ends (then it resolves). When it settles, everything that it
   * started has ended.
   * @throws LookoutError CAPTURE_* when the device or program fails
   */
  run(sink: FrameSink, signal: AbortSignal): Promise<void>;
}
