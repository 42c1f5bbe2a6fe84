/** Combines what limits how many frames are analysed: the strictest limit counts. */
export class AnalysisRate {
  readonly #limits = new Map<string, number>();
  readonly #apply: (share: number) => void;

  /** @param apply takes the share of the frames to analyse, 0…1, after each change of a limit */
  constructor(apply: (share: number) => void) {
    this.#apply = apply;
  }

  /**
   * @param by what sets the limit; its last limit is replaced
   * @param share of the frames that it allows, 0…1
   */
  limit(by: string, share: number): void {
    this.#limits.set(by, share);
    this.#apply(Math.min(...this.#limits.values()));
  }
}
