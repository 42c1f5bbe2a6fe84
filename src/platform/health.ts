/**
 * One look at how the daemon and its board are doing: what is published as `…/health` and kept as a sample.
 * Counters count from the start of the daemon; rates and percentiles are those of the time since the last sample.
 * Null: this machine does not say.
 */
export interface HealthSample {
  /** Wall clock, milliseconds since 1970. */
  at: number;
  uptime_s: number;
  /** Frames per second of all cameras together. */
  fps: number;
  cameras: Record<string, CameraHealth>;
  frames_captured: number;
  /** Those that the model looked at. */
  frames_analysed: number;
  frames_dropped: number;
  /** Null while the model was not run. */
  inference_ms_p50: number | null;
  inference_ms_p90: number | null;
  inference_ms_p99: number | null;
  /** Share of one core, 0…100 × cores. */
  cpu_percent: number;
  /** The same for the programs that the daemon started (camera programs, ffmpeg). */
  cpu_children_percent: number | null;
  rss_mb: number;
  temperature_c: number | null;
  /** Whether the board slows itself down right now, and why. */
  throttled: boolean | null;
  throttle_reasons: string[];
  event_loop_ms_p99: number;
  bytes_written: number | null;
  outbox_depth: number;
  outbox_dropped: number;
}

export interface CameraHealth {
  fps: number;
  captured: number;
  analysed: number;
  dropped: number;
}
