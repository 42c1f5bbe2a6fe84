/** The last `size` scores of one label in one zone: the M of N-of-M. */
export class ScoreWindow {
  readonly #scores: number[] = [];
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  /** Takes in a score; the oldest of a full window falls out. */
  push(score: number): void {
    if (this.#scores.length === this.#size) this.#scores.shift();
    this.#scores.push(score);
  }

  /** How many of the scores reach the threshold. */
  hits(threshold: number): number {
    return this.#scores.filter((score) => score >= threshold).length;
  }

  clear(): void {
    this.#scores.length = 0;
  }

  /** A copy of the scores, oldest first. */
  toArray(): number[] {
    return [...this.#scores];
  }
}
