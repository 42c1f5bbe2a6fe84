/** The change of brightness of the whole frame: now ≈ gain × before + offset. */
export interface Lighting {
  gain: number;
  offset: number;
}

/** Approximate number of cells that are sampled. */
const SAMPLES = 1200;
/** Differences of this many levels count half in the fit. */
const HALF_WEIGHT = 3;
/** Contrast, in levels, below which a frame determines the gain poorly. */
const PRIOR_CONTRAST = 10;
const ROUNDS = 4;
const BINS_PER_LEVEL = 2;

/**
 * Fits the light of the whole frame, which exposure, clouds and dusk change. Large moving objects do not disturb the fit:
 * it starts from the median difference and reweights by it (iteratively reweighted least squares with Cauchy weights: P. Holland and R. Welsch, "Robust regression using iteratively reweighted least-squares", 1977).
 * @param cells current brightness, and `before` the expected one, in units of `level`
 */
export class LightingFit {
  readonly #bins = new Int32Array(512 * BINS_PER_LEVEL);

  fit(cells: Int16Array, before: Float32Array, level: number): Lighting {
    // An odd step visits all columns.
    const step = Math.floor(cells.length / SAMPLES) | 1;
    let gain = 1;
    let offset = this.#median(cells, before, step, level);
    const inverseSquare = 1 / (HALF_WEIGHT * level) ** 2;
    for (let round = 0; round < ROUNDS; round++) {
      let [total, meanBefore, meanChange] = [0, 0, 0];
      let [squares, products] = [0, 0];
      for (let index = 0; index < cells.length; index += step) {
        const old = before[index]!;
        const change = cells[index]! - old;
        const rest = change - offset - (gain - 1) * old;
        const weight = 1 / (1 + rest * rest * inverseSquare);
        total += weight;
        meanBefore += weight * old;
        meanChange += weight * change;
        squares += weight * old * old;
        products += weight * old * change;
      }
      meanBefore /= total;
      meanChange /= total;
      const variance = squares / total - meanBefore * meanBefore;
      const covariance = products / total - meanBefore * meanChange;
      gain = 1 + covariance / (variance + (PRIOR_CONTRAST * level) ** 2);
      offset = meanChange - (gain - 1) * meanBefore;
    }
    return { gain, offset };
  }

  #median(cells: Int16Array, before: Float32Array, step: number, level: number): number {
    const bins = this.#bins.fill(0);
    const scale = BINS_PER_LEVEL / level;
    let count = 0;
    for (let index = 0; index < cells.length; index += step) {
      bins[((cells[index]! - before[index]!) * scale + bins.length / 2) | 0]!++;
      count++;
    }
    let bin = 0;
    for (let seen = bins[0]!; seen * 2 < count; seen += bins[bin]!) bin++;
    return (bin + 0.5 - bins.length / 2) / scale;
  }
}
