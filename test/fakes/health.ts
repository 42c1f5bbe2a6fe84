import type { HealthSample } from '../../src/board/health.ts';

/** A sample of a healthy board. */
export function healthSample(changes: Partial<HealthSample> = {}): HealthSample {
  return {
    at: Date.UTC(2026, 0, 1),
    uptime_s: 3600,
    fps: 9.8,
    cameras: { drive: { fps: 9.8, captured: 35_280, analysed: 900, dropped: 12 } },
    frames_captured: 35_280,
    frames_analysed: 900,
    frames_dropped: 12,
    inference_ms_p50: 21.4,
    inference_ms_p90: 24.9,
    inference_ms_p99: 31,
    cpu_percent: 43,
    cpu_children_percent: 12,
    rss_mb: 148,
    temperature_c: 61.2,
    throttled: false,
    throttle_reasons: [],
    event_loop_ms_p99: 3.1,
    bytes_written: 1_048_576,
    outbox_depth: 0,
    outbox_mb: 0,
    outbox_dropped: 0,
    problems: [],
    ...changes,
  };
}
