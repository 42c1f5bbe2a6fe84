import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from '../runtime/clock.ts';
import type { Analysis, Service } from '../types.ts';
import { readThermals, type Thermals } from './board.ts';
import { readUsage, type Usage } from './usage.ts';

/**
 * The state of the daemon and its board, published as `…/health` and stored as a sample. Counters count from the start of
 * the daemon; rates and percentiles cover the time since the last sample. Null: unavailable on this machine.
 */
export interface HealthSample {
  /** Wall clock, milliseconds since 1970. */
  at: number;
  uptime_s: number;
  /** Frames per second of all cameras together. */
  fps: number;
  cameras: Record<string, CameraHealth>;
  frames_captured: number;
  /** Frames that the model analysed. */
  frames_analysed: number;
  frames_dropped: number;
  /** Null if the model did not run. */
  inference_ms_p50: number | null;
  inference_ms_p90: number | null;
  inference_ms_p99: number | null;
  /** Share of one core, 0…100 × cores. */
  cpu_percent: number;
  /** The same for the programs that the daemon started (camera programs, ffmpeg). */
  cpu_children_percent: number | null;
  rss_mb: number | null;
  temperature_c: number | null;
  /** Whether the board throttles at the moment, and why. */
  throttled: boolean | null;
  throttle_reasons: string[];
  event_loop_ms_p99: number;
  bytes_written: number | null;
  outbox_depth: number;
  outbox_mb: number;
  outbox_dropped: number;
  /** Current problems, each with its code: `STORE_FULL: …`. */
  problems: string[];
}

export interface CameraHealth {
  fps: number;
  captured: number;
  analysed: number;
  dropped: number;
}

/** Sources of figures from outside the pipeline. */
export interface HealthProbes {
  usage: () => Promise<Usage>;
  thermals: () => Promise<Thermals>;
}

export interface HealthOptions {
  cameras: readonly string[];
  clock: Clock;
  probes?: HealthProbes;
}

/** Figures of the store about messages that wait for the broker. */
export interface OutboxStats {
  outboxDepth: number;
  outboxBytes: number;
  outboxDropped: number;
}

interface Counters {
  captured: number;
  analysed: number;
  dropped: number;
}

/**
 * Milliseconds between two samples of the event loop: every longer delay is detected, shorter ones by chance. Each sample
 * wakes the processor, so that more of them would cost an idle daemon more than its camera does.
 */
const LOOP_RESOLUTION_MS = 50;

/**
 * Counts frames and durations without allocating, and turns them into samples on request.
 */
export class HealthMonitor implements Service {
  readonly #clock: Clock;
  readonly #probes: HealthProbes;
  readonly #cameras: Map<string, Counters>;
  readonly #durations = new Durations();
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  readonly #startedAt: number;
  /** Values at the last sample. */
  #before: { at: number; usage: Usage; captured: Map<string, number> } | null = null;
  #finished = 0;
  #pending = 0;

  constructor({ cameras, clock, probes = { usage: readUsage, thermals: readThermals } }: HealthOptions) {
    this.#clock = clock;
    this.#probes = probes;
    this.#cameras = new Map(cameras.map((name) => [name, { captured: 0, analysed: 0, dropped: 0 }]));
    this.#startedAt = clock.monotonic();
  }

  async start(): Promise<void> {
    this.#loop.enable();
    this.#before = await this.#read();
  }

  async stop(): Promise<void> {
    this.#loop.disable();
  }

  /** Call for each frame from a camera. */
  captured(camera: string): void {
    this.#counters(camera).captured++;
    this.#pending++;
  }

  /** Call for each frame that the vision threads return. */
  frame(camera: string, analysis: Analysis): void {
    this.#finished++;
    this.#pending--;
    if (analysis.scores.length === 0) return;
    this.#counters(camera).analysed++;
    this.#durations.add(analysis.times.inference);
  }

  /** Call for each dropped frame. */
  dropped(camera: string): void {
    this.#counters(camera).dropped++;
    this.#pending--;
  }

  /** Number of frames that the vision threads returned: the progress of the pipeline. */
  get finished(): number {
    return this.#finished;
  }

  /** Frames of all cameras since the start. */
  get totals(): { captured: number; dropped: number } {
    const totals = { captured: 0, dropped: 0 };
    for (const { captured, dropped } of this.#cameras.values()) {
      totals.captured += captured;
      totals.dropped += dropped;
    }
    return totals;
  }

  /** Captured frames that are neither returned nor dropped yet. */
  get pending(): number {
    return this.#pending;
  }

  /** Makes a sample of the time since the last one, or since the start. */
  async sample(
    { outboxDepth, outboxBytes, outboxDropped }: OutboxStats,
    problems: string[] = [],
  ): Promise<HealthSample> {
    const [now, thermals] = await Promise.all([this.#read(), this.#probes.thermals()]);
    const before = this.#before ?? now;
    this.#before = now;
    const elapsed = Math.max(1, now.at - before.at);
    const rate = (from: number, to: number) => round(((to - from) * 1000) / elapsed, 2);
    const share = (from: number, to: number) => round(((to - from) * 100) / elapsed, 1);

    const cameras: Record<string, CameraHealth> = {};
    const total = { captured: 0, analysed: 0, dropped: 0 };
    for (const [name, { captured, analysed, dropped }] of this.#cameras) {
      cameras[name] = { fps: rate(before.captured.get(name) ?? 0, captured), captured, analysed, dropped };
      total.captured += captured;
      total.analysed += analysed;
      total.dropped += dropped;
    }
    const [p50, p90, p99] = this.#durations.take([0.5, 0.9, 0.99]);
    const loopP99 = this.#loop.count === 0 ? 0 : this.#loop.percentile(99) / 1e6 - LOOP_RESOLUTION_MS;
    this.#loop.reset();
    const children = [before.usage.childrenCpuMs, now.usage.childrenCpuMs] as const;
    return {
      at: this.#clock.now(),
      uptime_s: Math.round((now.at - this.#startedAt) / 1000),
      fps: round(
        Object.values(cameras).reduce((sum, { fps }) => sum + fps, 0),
        2,
      ),
      cameras,
      frames_captured: total.captured,
      frames_analysed: total.analysed,
      frames_dropped: total.dropped,
      inference_ms_p50: p50 ?? null,
      inference_ms_p90: p90 ?? null,
      inference_ms_p99: p99 ?? null,
      cpu_percent: share(before.usage.cpuMs, now.usage.cpuMs),
      cpu_children_percent:
        children[0] === null || children[1] === null ? null : Math.max(0, share(children[0], children[1])),
      rss_mb: now.usage.rss === null ? null : round(now.usage.rss / 2 ** 20, 1),
      ...thermals,
      event_loop_ms_p99: round(Math.max(0, loopP99), 1),
      bytes_written: now.usage.bytesWritten,
      outbox_depth: outboxDepth,
      outbox_mb: round(outboxBytes / 1e6, 2),
      outbox_dropped: outboxDropped,
      problems,
    };
  }

  async #read(): Promise<{ at: number; usage: Usage; captured: Map<string, number> }> {
    const usage = await this.#probes.usage();
    const captured = new Map([...this.#cameras].map(([name, counters]) => [name, counters.captured]));
    return { at: this.#clock.monotonic(), usage, captured };
  }

  #counters(camera: string): Counters {
    let counters = this.#cameras.get(camera);
    if (counters === undefined) {
      counters = { captured: 0, analysed: 0, dropped: 0 };
      this.#cameras.set(camera, counters);
    }
    return counters;
  }
}

/** The latest durations, in a ring that is written for every frame and sorted only for a sample. */
class Durations {
  readonly #ring = new Float64Array(2048);
  #count = 0;

  add(milliseconds: number): void {
    this.#ring[this.#count % this.#ring.length] = milliseconds;
    this.#count++;
  }

  /** Percentiles (nearest rank) of the durations since the last call; empty if there were none. */
  take(ranks: number[]): number[] {
    const sorted = this.#ring.slice(0, Math.min(this.#count, this.#ring.length)).sort();
    this.#count = 0;
    if (sorted.length === 0) return [];
    return ranks.map((rank) => round(sorted[Math.max(0, Math.ceil(rank * sorted.length) - 1)] ?? 0, 2));
  }
}

function round(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}
