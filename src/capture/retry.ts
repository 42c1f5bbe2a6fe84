/** Backoff after a camera failure, by error code. */
import { type ErrorCode, LookoutError } from '../errors.ts';
import { backoffMs } from '../runtime/backoff.ts';

export interface Retry {
  /** The pause after the first failure in ms, without jitter; it doubles with each further failure in a row … */
  firstMs: number;
  /** … up to this limit in ms. */
  longestMs: number;
  /** After this many failures in a row with the same code, every pause is `longestMs`. */
  tries: number;
  /** Only the user can fix it: it is logged once, and a replay that plays only once ends. */
  permanent: boolean;
}

const USUAL: Retry = { firstMs: 1000, longestMs: 60_000, tries: Number.POSITIVE_INFINITY, permanent: false };
const PERMANENT: Retry = { ...USUAL, firstMs: 60_000, permanent: true };
/** Many cameras lock an account after about five failures in half an hour. */
const REFUSED: Retry = { firstMs: 1000, longestMs: 600_000, tries: 3, permanent: true };

/** Codes with a backoff of their own. */
const RETRIES: Partial<Record<ErrorCode, Retry>> = {
  CAPTURE_ADDRESS: PERMANENT,
  CAPTURE_FILE: PERMANENT,
  CAPTURE_NOT_OFFERED: { ...USUAL, permanent: true },
  CAPTURE_PROGRAM_MISSING: PERMANENT,
  CAPTURE_REFUSED: REFUSED,
};

export function retryOf(error: unknown): Retry {
  return (error instanceof LookoutError && RETRIES[error.code]) || USUAL;
}

/**
 * @param failures in a row, including this one
 * @param same the latest of them with the same code, including this one
 * @param random 0…1, for the jitter
 */
export function pauseMs(
  { firstMs, longestMs, tries }: Retry,
  { failures, same, random }: { failures: number; same: number; random: number },
): number {
  if (same >= tries) return longestMs;
  const cappedMs = Math.min(longestMs, USUAL.longestMs);
  const jitter = { from: 0.75, to: 1.25, random: () => random };
  return Math.min(backoffMs({ firstMs, longestMs: cappedMs, jitter }, failures), cappedMs);
}

/** Whether a retry cannot succeed before the user has fixed the cause. */
export function isPermanent(error: unknown): error is LookoutError {
  return retryOf(error).permanent;
}
