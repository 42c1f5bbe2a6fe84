/** Scores and thresholds have four decimals: float32 noise must not decide, nor be written down. */
export const roundScore = (score: number): number => Math.round(score * 1e4) / 1e4;
