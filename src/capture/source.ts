import type { RawFrame } from '../types.ts';

/** Where a source puts its pictures. */
export interface FrameSink {
  /** A buffer of exactly `bytes` bytes from the frame pool, its content undefined. */
  acquire(bytes: number): ArrayBuffer;
  /** Gives back a buffer that was acquired and not handed over. */
  release(buffer: ArrayBuffer): void;
  /** Hands a complete picture over. */
  frame(picture: RawFrame): void;
  /** Resolves when the last picture was analysed, for sources that must not lose any. */
  consumed(): Promise<void>;
  /** Counts a fault that the source survived (a corrupt file, a truncated frame), said at most once a second. */
  fault(message: string): void;
}

/**
 * One way to get pictures. A source does not retry: it throws, and its supervisor starts it again.
 */
export interface Source {
  /** One line for people: program, device, size. No secrets. */
  readonly description: string;
  /**
   * Delivers pictures until `signal` aborts or the source comes to its natural end (then it resolves).
   * When it settles, everything that it started has ended.
   * @throws LookoutError CAPTURE_* when the device or program fails
   */
  run(sink: FrameSink, signal: AbortSignal): Promise<void>;
}
