/** Scenarios of MLPerf Inference. */
export interface Scenario {
  /** Images in one query. */
  samples: number;
  /** Minimum number of queries; for single-stream as in the first version of its rules. */
  queries: number;
  /** The percentile that is the result. */
  percentile: number;
}

export const SINGLE_STREAM = { samples: 1, queries: 1024, percentile: 0.9 } as const satisfies Scenario;
export const MULTI_STREAM = { samples: 8, queries: 662, percentile: 0.99 } as const satisfies Scenario;
