/** How soon a camera that failed is started again, which depends on what failed: the one place where that is said. */
import { type ErrorCode, LookoutError } from '../errors.ts';

export interface Retry {
  /** The pause after the first failure in ms, jitter aside; it doubles with each further failure in a row … */
  firstMs: number;
  /** … up to this. */
  longestMs: number;
  /** After so many failures with this code in a row each pause is the longest. */
  tries: number;
  /** Somebody has to put it right first: it is said once, and a camera that plays only once has come to its end. */
  permanent: boolean;
}

const USUAL: Retry = { firstMs: 1000, longestMs: 60_000, tries: Number.POSITIVE_INFINITY, permanent: false };
const PERMANENT: Retry = { ...USUAL, firstMs: 60_000, permanent: true };
/** Many cameras lock an account after some five failures in half an hour. */
const REFUSED: Retry = { firstMs: 1000, longestMs: 600_000, tries: 3, permanent: true };

/** Codes that are not retried in the usual way. */
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
 * @param failures in a row, with this one
 * @param same those among the last of them that have the same code, with this one
 * @param random 0…1, for the jitter
 */
export function pauseMs(
  { firstMs, longestMs, tries }: Retry,
  { failures, same, random }: { failures: number; same: number; random: number },
): number {
  if (same >= tries) return longestMs;
  const growing = firstMs * 2 ** Math.min(failures - 1, 10) * (0.75 + 0.5 * random);
  return Math.min(growing, longestMs, USUAL.longestMs);
}

/** Whether another try cannot be expected to do better before somebody has put something right. */
export function isPermanent(error: unknown): error is LookoutError {
  return retryOf(error).permanent;
}
