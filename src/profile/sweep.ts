/**
 * Measures the points of a plan, each in its own processes, round after round, so that drift (temperature, other programs)
 * affects all points instead of only the last.
 */
import { dirname } from 'node:path';
import type { SourceConfig } from '../config/sources.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { removeFolder } from '../runtime/own-files.ts';
import { keyOf } from './measurement-plan.ts';
import { runJob } from './profile-process.ts';
import { makeRow } from './profile-rows.ts';
import type { Budget, Failure, Measurement, ModelFacts, ModelRef, Point, Row } from './profile-types.ts';
import { describe } from './profiled-models.ts';
import { type Work, writeConfig } from './workload.ts';

export interface SweepOptions {
  points: readonly Point[];
  rounds: number;
  /** The budget of the next round, by the progress so far; null ends the sweep. */
  budget: (step: Step) => Budget | null;
  models: ReadonlyMap<string, ModelRef>;
  /** Models that cannot be measured, and why. */
  broken?: ReadonlyMap<string, Failure>;
  /** Configured cameras by name. */
  cameras: ReadonlyMap<string, SourceConfig>;
  /** Whether to measure the models' multiply-adds and operators, too. */
  costs: boolean;
  /** Temporary folder. */
  folder: string;
  /** Ends the sweep; the results so far are kept. */
  signal: AbortSignal;
  onProgress: (done: number, total: number, doing: string) => void;
}

export interface Step {
  done: number;
  total: number;
  elapsedMs: number;
}

interface Progress {
  rounds: Measurement[];
  failures: Failure[];
}

/** A model that is ready to be measured, or why it cannot be. */
type Ready = { facts: ModelFacts; label: string } | { failure: Failure };

/** Time limits for building and profiling a model, and for a round in addition to its budget. */
const MODEL_MS = 600_000;
const OVERHEAD_MS = 120_000;

export class Sweep {
  readonly #options: SweepOptions;
  readonly #progress = new Map<string, Progress>();
  readonly #models = new Map<string, Ready>();
  /** By model and provider: why the provider cannot run the model. It is not tried again. */
  readonly #missing = new Map<string, Failure>();

  constructor(options: SweepOptions) {
    this.#options = options;
    for (const [name, failure] of options.broken ?? []) this.#models.set(name, { failure });
  }

  /** Rows of the measured points, in the order of the plan. */
  get rows(): Row[] {
    return this.#options.points.flatMap((point) => {
      const progress = this.#progress.get(keyOf(point));
      if (!progress) return [];
      const model = this.#models.get(point.model);
      const sha256 = model && 'facts' in model ? model.facts.sha256 : null;
      return [makeRow(point, sha256, progress.rounds, progress.failures)];
    });
  }

  /** Keys of the skipped points. */
  get leftOut(): string[] {
    return this.#options.points.map(keyOf).filter((key) => !this.#progress.has(key));
  }

  get models(): ModelFacts[] {
    return [...this.#models.values()].flatMap((model) => ('facts' in model ? [model.facts] : []));
  }

  /** Resolves when all points are measured or the signal aborts. A failed point is a row, too. */
  async run(): Promise<void> {
    const { points, rounds, budget, signal, onProgress } = this.#options;
    const total = points.length * rounds;
    const began = performance.now();
    let done = 0;
    for (let round = 0; round < rounds; round++) {
      for (const point of points) {
        if (signal.aborted) return;
        const allowed = budget({ done, total, elapsedMs: performance.now() - began });
        if (!allowed) return;
        onProgress(done, total, keyOf(point));
        await this.#round(point, allowed);
        done++;
      }
    }
    onProgress(total, total, '');
  }

  async #round(point: Point, budget: Budget): Promise<void> {
    const { signal } = this.#options;
    const key = keyOf(point);
    const before = this.#progress.get(key);
    // Only a crash is retried; other failures are permanent.
    if (before?.failures.some(({ code }) => code !== 'PROFILE_CRASHED')) return;
    const progress = before ?? { rounds: [], failures: [] };
    const pair = `${point.provider} ${point.model}`;
    const missing = this.#missing.get(pair);
    try {
      const model = await this.#ready(point);
      if ('failure' in model) progress.failures.push(model.failure);
      else if (missing) progress.failures.push(missing);
      else progress.rounds.push(await this.#measure(point, model.label, budget));
    } catch (error) {
      if (signal.aborted) return;
      const failure = failureOf(error);
      if (failure.code === 'MODEL_PROVIDER_MISSING') this.#missing.set(pair, failure);
      progress.failures.push(failure);
    }
    this.#progress.set(key, progress);
  }

  async #measure(point: Point, label: string, budget: Budget): Promise<Measurement> {
    const { models, cameras, folder, signal } = this.#options;
    const model = models.get(point.model)!;
    const work: Work = { point, model, label, camera: cameras.get(point.source) ?? null, folder };
    const paced = await writeConfig(work, budget.fps);
    const full = await writeConfig(work, null);
    const { pipelineMs, pacedMs, inferenceMs } = budget;
    const timeoutMs = pipelineMs + pacedMs + 3 * inferenceMs + OVERHEAD_MS;
    try {
      return await runJob('measure', { full, paced, budget }, { signal, timeoutMs });
    } finally {
      for (const file of [paced, full]) await removeFolder(dirname(file));
    }
  }

  /** Builds a model if necessary and measures its cost, once. */
  async #ready({ model: name, exact }: Point): Promise<Ready> {
    const known = this.#models.get(name);
    if (known) return known;
    const { models, folder, signal, costs } = this.#options;
    const model = models.get(name)!;
    const options = { signal, timeoutMs: MODEL_MS };
    let ready: Ready;
    try {
      if (model.member) await runJob('build', { member: model.member, file: model.file }, options);
      const { facts, description } = await describe(model);
      const measured = costs
        ? await runJob('facts', { model, exact, folder }, options)
        : { multiplyAdds: null, operators: [] };
      const { labels, background } = description;
      const label = labels.find((candidate) => !background.includes(candidate)) ?? labels[0]!;
      ready = { facts: { ...facts, ...measured }, label };
    } catch (error) {
      if (signal.aborted) throw error;
      ready = { failure: failureOf(error) };
    }
    this.#models.set(name, ready);
    return ready;
  }
}

export function failureOf(error: unknown): Failure {
  const code = error instanceof LookoutError ? error.code : 'INTERNAL';
  return { code, message: messageOf(error) };
}
