/** Records the stages of the daemon in this process during an interval, and summarises them. */
import { EnergyMeter, type PowerSource } from '../board/energy.ts';
import { readUsage, type Usage } from '../board/usage.ts';
import { onStage, type Stage } from '../runtime/stage-times.ts';
import type { Phase } from './profile-types.ts';
import { batches, percentile, summarise } from './statistics.ts';

/** Maximum number of batches of an interval, and minimum number of frames of each. */
const BATCHES = 20;
const LEAST_FRAMES = 5;

export class Recorder {
  readonly #power: PowerSource | null;
  readonly #durations = new Map<Stage, number[]>();
  /** Times of the decisions. */
  readonly #finished: number[] = [];
  #meter: EnergyMeter | null = null;
  #stopListening = () => {};
  #began = 0;
  #usage: Usage | null = null;

  constructor(power: PowerSource | null) {
    this.#power = power;
  }

  /** Frames since the start. */
  get frames(): number {
    return this.#finished.length;
  }

  async start(): Promise<void> {
    this.#meter = this.#power && new EnergyMeter(this.#power);
    await this.#meter?.start();
    this.#usage = await readUsage();
    this.#began = performance.now();
    this.#stopListening = onStage((stage, milliseconds) => {
      if (stage === 'whole') this.#finished.push(performance.now());
      const series = this.#durations.get(stage);
      if (series) series.push(milliseconds);
      else this.#durations.set(stage, [milliseconds]);
    });
  }

  async stop(): Promise<Phase> {
    this.#stopListening();
    const milliseconds = performance.now() - this.#began;
    const [before, after] = [this.#usage!, await readUsage()];
    const joules = await this.#meter?.stop();
    const share = (ms: number) => (100 * ms) / milliseconds;
    const children = [before.childrenCpuMs, after.childrenCpuMs] as const;
    const stages: Phase['stages'] = {};
    for (const [stage, series] of this.#durations) stages[stage] = summarise(series)!;
    return {
      seconds: milliseconds / 1000,
      frames: this.#finished.length,
      fps: rates([this.#began, ...this.#finished]),
      latencyP90: batches(this.#durations.get('whole') ?? [], BATCHES, 2 * LEAST_FRAMES)
        .filter((batch) => batch.length > 0)
        .map((batch) => percentile(Float64Array.from(batch).sort(), 0.9)),
      stages,
      cpuPercent: share(after.cpuMs - before.cpuMs),
      childrenCpuPercent:
        children[0] === null || children[1] === null ? null : Math.max(0, share(children[1] - children[0])),
      rssMb: after.rss === null ? null : after.rss / 2 ** 20,
      energy: joules === undefined ? null : { source: this.#power!.name, joules },
    };
  }
}

/**
 * Frames per second, batch by batch.
 * @param times milliseconds; the first is when counting began
 */
export function rates(times: readonly number[]): number[] {
  const gaps = times.slice(1).map((time, index) => time - times[index]!);
  return batches(gaps, BATCHES, LEAST_FRAMES)
    .filter((batch) => batch.length > 0)
    .map((batch) => (1000 * batch.length) / batch.reduce((sum, gap) => sum + gap, 0));
}
