/** Makes the row of a point from its rounds. */
import { keyOf } from './measurement-plan.ts';
import type {
  Failure,
  InferenceAlone,
  Measurement,
  Metric,
  Phase,
  Point,
  Queries,
  Row,
} from './profile-types.ts';
import { MULTI_STREAM, SINGLE_STREAM } from './scenarios.ts';
import { estimate, summarise } from './statistics.ts';

export function makeRow(
  point: Point,
  sha256: string | null,
  rounds: readonly Measurement[],
  failures: readonly Failure[],
): Row {
  const figures: Record<Metric, (round: Measurement) => readonly (number | null)[]> = {
    inference_fps: ({ inference }) => inference.fps,
    pipeline_fps: ({ pipeline }) => pipeline.fps,
    single_stream_p90_ms: ({ inference }) => inference.singleStream.tail,
    multi_stream_p99_ms: ({ inference }) => inference.multiStream?.tail ?? [],
    rest_ms: (round) => [restMs(round)],
    paced_latency_p90_ms: ({ paced }) => paced.latencyP90,
    paced_cpu_percent: ({ paced }) => [paced.cpuPercent],
    paced_camera_cpu_percent: ({ paced }) => [paced.childrenCpuPercent],
    rss_mb: ({ paced }) => [paced.rssMb],
    pipeline_mj_per_frame: ({ pipeline }) => [perFrame(pipeline)],
    paced_watts: ({ paced }) => [paced.energy && paced.energy.joules / paced.seconds],
  };
  const metrics: Row['metrics'] = {};
  for (const [metric, figure] of Object.entries(figures) as [Metric, (typeof figures)[Metric]][]) {
    const found = estimate(rounds.map((round) => figure(round).filter((value) => value !== null)));
    if (found) metrics[metric] = found;
  }
  const last = rounds.at(-1);
  return {
    key: keyOf(point),
    point,
    sha256,
    failures: [...failures],
    kernel: last?.kernel ?? null,
    metrics,
    stages: last ? { pipeline: last.pipeline.stages, paced: last.paced.stages } : null,
    pacedFps: last ? last.paced.frames / last.paced.seconds : null,
    singleStream: gather(rounds, ({ singleStream }) => singleStream, SINGLE_STREAM.queries),
    multiStream: gather(rounds, ({ multiStream }) => multiStream, MULTI_STREAM.queries),
    energySource: last?.pipeline.energy?.source ?? null,
    stamps: rounds.map(({ before, after }) => ({ before, after })),
  };
}

/** All queries of all rounds together. */
function gather(
  rounds: readonly Measurement[],
  which: (inference: InferenceAlone) => InferenceAlone['multiStream'],
  least: number,
): Queries | null {
  const asked = rounds.flatMap(({ inference }) => which(inference) ?? []);
  const latency = summarise(asked.flatMap(({ latencies }) => latencies));
  if (!latency) return null;
  return { samples: asked[0]!.samples, latency, complete: latency.count >= least };
}

/** Processor time of a frame at full speed without its inference, milliseconds; null without frames. */
function restMs({
  pipeline: { cpuPercent, seconds, frames },
  inference: { cpuMs },
}: Measurement): number | null {
  return frames > 0 ? Math.max(0, (10 * cpuPercent * seconds) / frames - cpuMs) : null;
}

function perFrame({ energy, frames }: Phase): number | null {
  return energy && frames > 0 ? (1000 * energy.joules) / frames : null;
}
