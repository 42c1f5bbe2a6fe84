/** How soon a camera that failed is started again, which depends on what failed: the one place where that is said. */
import { type ErrorCode, LookoutError } from '../errors.ts';

export interface Retry {
  /** The pause after the first failure in ms, jitter aside; it doubles with each further failure in a row … */
  firstMs: number;
  /** … up to this. */
  longestMs: number;
  /** Somebody has to put it right first: it is said once, and a camera that plays only once has come to its end. */
  permanent: boolean;
}

const USUAL: Retry = { firstMs: 1000, longestMs: 60_000, permanent: false };
const PERMANENT: Retry = { firstMs: 60_000, longestMs: 60_000, permanent: true };

/** Codes that are not retried in the usual way. */
const RETRIES: Partial<Record<ErrorCode, Retry>> = {
  CAPTURE_ADDRESS: PERMANENT,
  CAPTURE_FILE: PERMANENT,
  CAPTURE_PROGRAM_MISSING: PERMANENT,
};

export function retryOf(error: unknown): Retry {
  return (error instanceof LookoutError && RETRIES[error.code]) || USUAL;
}

/** Whether another try cannot be expected to do better before somebody has put something right. */
export function isPermanent(error: unknown): error is LookoutError {
  return retryOf(error).permanent;
}
