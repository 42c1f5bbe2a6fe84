/** Types of profiling: a point is measured in rounds; its rounds become a row, and the rows a report. */

import type { Thermals } from '../board/board.ts';
import type { Frequency } from '../board/frequency.ts';
import type { ErrorCode } from '../errors.ts';
import type { Exact, Int8Kernel } from '../model/int8-kernel.ts';
import type { Stage } from '../runtime/stage-times.ts';
import type { Estimate, Summary } from './statistics.ts';

export type Provider = 'tensorrt' | 'cuda' | 'cpu';

/** A model that can be measured. */
export interface ModelRef {
  /** As the user named it: `builtin`, an added model, a file, or a member of the family such as `v2-0.5-160-int8`. */
  name: string;
  /** Absolute path. */
  file: string;
  /** Description (.json) or labels for a file without its own, as in the configuration. */
  description?: string | undefined;
  labels?: string | undefined;
  member?: Member;
}

/** A member of the MobileNetV2 family, with random weights. */
export interface Member {
  width: number;
  resolution: number;
  precision: 'int8' | 'fp32';
}

/** One combination of settings to be measured. */
export interface Point {
  model: string;
  threads: number;
  sessions: number;
  provider: Provider;
  spinning: boolean;
  exact: Exact;
  width: number;
  height: number;
  /** `raw`, `jpeg`, `demo`, or the name of a configured camera. */
  source: string;
}

/** Time limits and tasks of one round of a point. */
export interface Budget {
  /** Milliseconds of the pipeline at full speed, and again paced. */
  pipelineMs: number;
  pacedMs: number;
  /** Rate of the paced part, frames per second. */
  fps: number;
  /** Maximum milliseconds for each kind of query to the model alone. */
  inferenceMs: number;
  /** Whether to run queries of several samples, too. */
  multiStream: boolean;
}

/** One part of a round: the pipeline at some rate. */
export interface Phase {
  seconds: number;
  frames: number;
  /** Frames per second, batch by batch. */
  fps: number[];
  /** Milliseconds from the frame to the decision, 90th percentile, batch by batch. */
  latencyP90: number[];
  stages: Partial<Record<Stage, Summary>>;
  /** Of one core. */
  cpuPercent: number;
  /** Of its child processes; null: not readable. */
  childrenCpuPercent: number | null;
  rssMb: number | null;
  energy: { source: string; joules: number } | null;
}

/** Queries as in MLPerf Inference (Reddi et al. 2020, "MLPerf Inference Benchmark"). */
export interface Asked {
  /** How many samples each query has. */
  samples: number;
  /** Milliseconds for each query. */
  latencies: number[];
  /** The scenario's percentile, batch by batch, in milliseconds. */
  tail: number[];
}

/** Summary of all queries of a scenario. */
export interface Queries {
  samples: number;
  /** Milliseconds for one query. */
  latency: Summary;
  /** Whether there are enough queries for the scenario's name. */
  complete: boolean;
}

export interface InferenceAlone {
  /** Frames per second with all sessions busy, batch by batch. */
  fps: number[];
  /** Processor time of one inference during that, milliseconds. */
  cpuMs: number;
  singleStream: Asked;
  multiStream: Asked | null;
}

/** State of the board during a measurement. */
export interface Stamp extends Thermals, Frequency {
  /** Milliseconds since 1970. */
  at: number;
  /** Processor share of other programs since the previous stamp, percent of all cores; null: not readable. */
  others_percent: number | null;
}

/** One round of a point, measured in its own process. */
export interface Measurement {
  provider: Provider;
  threads: number;
  kernel: Int8Kernel;
  paced: Phase;
  pipeline: Phase;
  inference: InferenceAlone;
  before: Stamp;
  after: Stamp;
}

/** Why something failed. */
export interface Failure {
  code: ErrorCode;
  message: string;
}

export interface ModelFacts {
  name: string;
  file: string;
  sha256: string;
  bytes: number;
  input: string;
  /** Millions for one image. */
  multiplyAdds: number | null;
  /** Top-1 on ImageNet as its authors published it, percent; for members of the family (of the float weights). */
  accuracy: number | null;
  operators: Operator[];
}

/** Where one inference spends its time, by ONNX Runtime's own profile. */
export interface Operator {
  name: string;
  provider: string;
  count: number;
  /** For one inference. */
  microseconds: number;
}

export const METRICS = {
  inference_fps: { unit: 'fps', better: 'higher', label: 'inference alone' },
  pipeline_fps: { unit: 'fps', better: 'higher', label: 'whole pipeline' },
  single_stream_p90_ms: { unit: 'ms', better: 'lower', label: 'single-stream p90' },
  multi_stream_p99_ms: { unit: 'ms', better: 'lower', label: 'multi-stream p99' },
  paced_latency_p90_ms: { unit: 'ms', better: 'lower', label: 'frame to decision p90, paced' },
  rest_ms: { unit: 'ms', better: 'lower', label: 'processor time per frame beyond inference' },
  paced_cpu_percent: { unit: '% of a core', better: 'lower', label: 'CPU, paced' },
  paced_camera_cpu_percent: { unit: '% of a core', better: 'lower', label: 'CPU of camera programs, paced' },
  rss_mb: { unit: 'MB', better: 'lower', label: 'RSS' },
  pipeline_mj_per_frame: { unit: 'mJ', better: 'lower', label: 'energy per frame' },
  paced_watts: { unit: 'W', better: 'lower', label: 'power, paced' },
} as const;
export type Metric = keyof typeof METRICS;

/** All rounds of a point. */
export interface Row {
  key: string;
  point: Point;
  sha256: string | null;
  failures: Failure[];
  /** The int8 kernel; null: nothing was measured. */
  kernel: Int8Kernel | null;
  metrics: Partial<Record<Metric, Estimate>>;
  /** Of the last round. */
  stages: { pipeline: Phase['stages']; paced: Phase['stages'] } | null;
  /** Reached in the paced part. */
  pacedFps: number | null;
  singleStream: Queries | null;
  multiStream: Queries | null;
  energySource: string | null;
  stamps: { before: Stamp; after: Stamp }[];
}

/** Facts that a reader needs to trust or repeat a report. */
export interface Provenance {
  lookout: string;
  node: string;
  onnxruntime: string;
  /** ISO 8601. */
  at: string;
  host: string;
  board: string | null;
  cpu: string | null;
  cores: number;
  architecture: string;
  memory_mb: number | null;
  kernel: string | null;
  os: string | null;
  governor: string | null;
  limit_mhz: number | null;
  /** A Jetson's power mode. */
  power_mode: string | null;
  power_source: string | null;
  /** One-minute load average at the start. */
  load: number;
}

/** A second of a long run. */
export interface SustainSample extends Thermals {
  /** Seconds since the start. */
  t: number;
  fps: number;
  latencyP50: number | null;
  latencyP90: number | null;
  mhz: number | null;
  watts: number | null;
}

export interface Sustained {
  point: Point;
  samples: SustainSample[];
  verdict: SustainVerdict;
}

export interface SustainVerdict {
  /** Whether the temperature, or without a thermometer the rate, was stable. */
  settled: boolean;
  /** Second of the first throttling; null if there was none. */
  throttledAt: number | null;
  reasons: string[];
  /** Frames per second at the start and at the end. */
  startFps: number;
  endFps: number;
  /** The rate that can be sustained; null if the run was not stable. */
  holdFps: number | null;
  peakTemperature: number | null;
  text: string;
}

export const REPORT_VERSION = 1;

export interface Report {
  format: 'lookout-profile';
  version: typeof REPORT_VERSION;
  provenance: Provenance;
  fps: number;
  rounds: number;
  /** Whether the sweep was interrupted. */
  interrupted: boolean;
  /** Keys of points for which a quick sweep had no time left. */
  leftOut: string[];
  models: ModelFacts[];
  rows: Row[];
  sustained: Sustained | null;
  /** What ended the long run early or prevented it. */
  sustainFailure: Failure | null;
}

/** Comparison of the faster int8 kernel's scores with the exact ones. */
export interface Agreement {
  frames: number;
  /** Frames with the same top-1 class. */
  same: number;
  /** The largest difference between two scores, 0…1. */
  largest: number;
}

/** Jobs of a child process and their results. Configurations are files with one camera, `profile`. */
export interface Jobs {
  /** `full`: as fast as frames are analysed; `paced`: at the configured rate. */
  measure: { ask: { full: string; paced: string; budget: Budget }; answer: Measurement };
  /** Sends a sample each second until it is stopped. */
  sustain: { ask: { config: string; seconds: number }; answer: null };
  /** Builds a member of the family. */
  build: { ask: { member: Member; file: string }; answer: null };
  /** Which execution providers really run the model here. */
  providers: { ask: { model: ModelRef }; answer: Provider[] };
  agreement: { ask: { model: ModelRef; snapshots: string }; answer: Agreement };
  facts: {
    ask: { model: ModelRef; exact: Exact; folder: string };
    answer: Pick<ModelFacts, 'multiplyAdds' | 'operators'>;
  };
}
export type JobKind = keyof Jobs;
