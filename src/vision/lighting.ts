/** How the brightness of the whole picture changed: now ≈ gain × before + offset. */
export interface Lighting {
  gain: number;
  offset: number;
}

/** About so many cells are looked at. */
const SAMPLES = 1200;
/** Differences of this many levels count half in the fit. */
const DOUBT = 3;
/** Contrast, in levels, below which a picture says little about the gain. */
const PRIOR_CONTRAST = 10;
const ROUNDS = 4;
const BINS_PER_LEVEL = 2;

/**
 * Fits the light of the whole picture, as exposure, clouds and dusk change it, however large the things in it that
 * move: starts from the median difference and reweights by it (iteratively reweighted least squares with Cauchy
 * weights: P. Holland and R. Welsch, "Robust regression using iteratively reweighted least-squares", 1977).
 * @param cells brightness now, and `before` as it is expected to be, in units of `level`
 */
export class LightingFit {
  readonly #bins = new Int32Array(512 * BINS_PER_LEVEL);

  fit(cells: Int16Array, before: Float32Array, level: number): Lighting {
    // An odd step visits all columns.
    const step = Math.floor(cells.length / SAMPLES) | 1;
    let gain = 1;
    let offset = this.#median(cells, before, step, level);
    const doubt = 1 / (DOUBT * level) ** 2;
    for (let round = 0; round < ROUNDS; round++) {
      let [total, meanBefore, meanChange] = [0, 0, 0];
      let [squares, products] = [0, 0];
      for (let index = 0; index < cells.length; index += step) {
        const old = before[index]!;
        const change = cells[index]! - old;
        const rest = change - offset - (gain - 1) * old;
        const weight = 1 / (1 + rest * rest * doubt);
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
