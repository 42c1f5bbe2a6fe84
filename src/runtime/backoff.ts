export interface BackoffOptions {
  /** The wait after the first failure in ms, jitter aside. */
  firstMs: number;
  /** The longest wait in ms, jitter aside. */
  longestMs: number;
  /** By how much the wait grows with each further failure in a row; 2 by default. */
  factor?: number;
  /** Multiplies the wait by a random factor in this range, so that many devices do not retry at the same instant. */
  jitter?: { from: number; to: number; random: () => number };
}

/** The wait before the next attempt in ms. @param failures in a row, from 1 */
export function backoffMs(
  { firstMs, longestMs, factor = 2, jitter }: BackoffOptions,
  failures: number,
): number {
  const waitMs = Math.min(firstMs * factor ** (failures - 1), longestMs);
  return jitter ? waitMs * (jitter.from + (jitter.to - jitter.from) * jitter.random()) : waitMs;
}

/** Waits between attempts that grow with each failure in a row. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Counts a failure and returns the wait before the next attempt in ms. */
  next(): number {
    return backoffMs(this.#options, ++this.#failures);
  }

  /** Call after a success: the next wait is the first one again. */
  reset(): void {
    this.#failures = 0;
  }
}
