/** In which ways MLPerf Inference asks a model. */
export interface Scenario {
  /** Pictures for one query. */
  samples: number;
  /** Queries that it asks for at least; single-stream counts as in its first rules. */
  queries: number;
  /** What it is judged by. */
  percentile: number;
}

export const SINGLE_STREAM = { samples: 1, queries: 1024, percentile: 0.9 } as const satisfies Scenario;
export const MULTI_STREAM = { samples: 8, queries: 662, percentile: 0.99 } as const satisfies Scenario;
