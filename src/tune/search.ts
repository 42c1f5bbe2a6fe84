/** `lookout tune`: measures candidates for a goal step by step, and chooses the best. */
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { LoadedConfig } from '../config/load-config.ts';
import { LookoutError } from '../errors.ts';
import { int8Kernel } from '../model/int8-kernel.ts';
import { unique } from '../profile/measurement-plan.ts';
import { runJob } from '../profile/profile-process.ts';
import { ProgressBar, type Screen } from '../profile/profile-progress.ts';
import type { Budget, ModelRef, Point, Provider, Row } from '../profile/profile-types.ts';
import { describe, findModel } from '../profile/profiled-models.ts';
import { readProvenance } from '../profile/provenance.ts';
import { Sweep } from '../profile/sweep.ts';
import { FASTEST } from '../profile/workload.ts';
import { makeFolder, removeFolder } from '../runtime/own-files.ts';
import {
  type Candidate,
  candidatesOf,
  explain,
  explainKernel,
  explainThermal,
  type Goal,
  meets,
  rank,
  refuse,
} from './choose-point.ts';
import { encodingsOf } from './encodings.ts';
import { type Choice, type Circumstances, TuneCache } from './tuning-cache.ts';

export interface TuneOptions {
  config: LoadedConfig;
  goal: Goal;
  /** Ignore the cache and measure again. */
  fresh: boolean;
  /** `model.exact: never` may be chosen if it is faster. */
  inexact: boolean;
  /** Milliseconds after which no further point is measured, if there is at least one. */
  withinMs?: number | undefined;
  signal: AbortSignal;
  screen: Screen;
}

export interface Tuned {
  choice: Choice;
  /** Whether the choice comes from the cache. */
  cached: boolean;
}

const BUDGET = { pipelineMs: 1500, pacedMs: 2000, inferenceMs: 300, multiStream: false };
const STEP_MS = 8000;
/** Tuning makes no frame smaller than this: too few details would be left. */
const SMALLEST_SIDE = 240;
/** Up to this many cores, every combination of threads and sessions is tried. */
const FEW_CORES = 4;
/** The paced rate if the goal is the highest rate. */
const USUAL_FPS = 5;

/**
 * Compares encodings first, then threads and sessions. It tries spinning only if the highest rate is the goal, and smaller
 * frames only if the goal cannot be reached otherwise.
 * @throws LookoutError TUNE_UNREACHABLE if no point meets the goal, MODEL_* and PROFILE_* if nothing could be measured
 */
export async function tune({
  config,
  goal,
  fresh,
  inexact,
  withinMs,
  signal,
  screen,
}: TuneOptions): Promise<Tuned> {
  const began = performance.now();
  const folder = await makeFolder(join(tmpdir(), 'lookout-tune-'));
  try {
    const { cpu, cores, onnxruntime } = await readProvenance();
    const models = await modelsOf(config, folder);
    const described = await Promise.all([...models.values()].map(describe));
    const base = baseOf(config, await providerOf(config, models, signal));
    const { width, height } = base;
    const circumstances: Circumstances = {
      models: chosenFirst(described.map(({ facts }) => facts.sha256)),
      cpu,
      cores,
      onnxruntime,
      width,
      height,
      inexact,
      exact: base.exact,
      goal: { fps: goal.fps, cameras: goal.cameras, minIdle: goal.minIdle },
    };
    const cache = new TuneCache(config.config.data_dir);
    const known = fresh ? null : await cache.find(circumstances);
    if (known) {
      const [what, why, , ...more] = known.lines;
      const lines = [what!, why!, explainThermal(known.temperature, goal), ...more];
      return { choice: { ...known, lines }, cached: true };
    }

    const deadline = withinMs === undefined ? null : began + withinMs;
    const bench = new Bench({ models, folder, signal, deadline, screen, goal, cores });
    const saturates = base.provider === 'cpu' && int8Kernel('never').name === 'saturating';
    await search(bench, base, [...models.keys()], cores, goal);
    if (inexact && saturates) await bench.measure([{ ...bench.best.point, exact: 'never' }]);
    const { best } = bench;
    if (!meets(best, goal)) throw new LookoutError('TUNE_UNREACHABLE', refuse(best, goal, cores));
    const choice = choiceOf(best, bench.ranked, goal, cores, models, base);
    const { exact, model } = best.point;
    if (inexact || (saturates && exact === 'never')) {
      const ask = { model: models.get(model)!, snapshots: config.config.store.snapshots };
      const agreement =
        saturates && exact === 'never'
          ? await runJob('agreement', ask, { signal, timeoutMs: 120_000 })
          : null;
      choice.lines.push(explainKernel(agreement, saturates));
    }
    await cache.keep(circumstances, choice);
    if (choice.file !== null) {
      // After the choice is written, its encoding is the configured one.
      const chosen = [...models.keys()].indexOf(best.point.model);
      const then = chosenFirst(circumstances.models, described[chosen]!.facts.sha256);
      await cache.keep({ ...circumstances, models: then }, { ...choice, file: null });
    }
    return { choice, cached: false };
  } finally {
    await removeFolder(folder);
  }
}

async function search(
  bench: Bench,
  base: Point,
  models: readonly string[],
  cores: number,
  goal: Goal,
): Promise<void> {
  await bench.measure(models.map((model) => ({ ...base, model, threads: 1, sessions: 1 })));
  const { model } = bench.best.point;
  await bench.measure(shapesOf(cores).map((shape) => ({ ...base, model, ...shape })));
  if (goal.fps === null) await bench.measure([{ ...bench.best.point, spinning: true }]);
  for (let { width, height } = base; !meets(bench.best, goal); ) {
    [width, height] = [half(width), half(height)];
    if (Math.min(width, height) < SMALLEST_SIDE || bench.isLate()) break;
    await bench.measure([{ ...bench.best.point, width, height }]);
  }
}

/** Combinations of threads and sessions for the cores; with many cores only some, to save time. */
export function shapesOf(cores: number): { threads: number; sessions: number }[] {
  const all = Array.from({ length: cores }, (_, index) => index + 1);
  const counts = cores <= FEW_CORES ? all : all.filter((count) => Number.isInteger(Math.log2(count)));
  const used = [...new Set([...counts, cores])];
  return used.flatMap((sessions) =>
    used.filter((threads) => threads * sessions <= cores).map((threads) => ({ threads, sessions })),
  );
}

/** Sorts all models but the configured one, because their order does not matter. */
export function chosenFirst(models: readonly string[], chosen = models[0]!): string[] {
  return [chosen, ...models.filter((model) => model !== chosen).sort()];
}

/** The goal's rate of all cameras together. */
const totalFps = ({ fps, cameras }: Goal) => (fps ?? USUAL_FPS) * cameras;
/** One camera simulates all of them, up to its maximum rate. */
const pacedFps = (goal: Goal) => Math.min(FASTEST, totalFps(goal));

const half = (side: number) => 2 * Math.round(side / 4);

interface BenchOptions {
  models: ReadonlyMap<string, ModelRef>;
  folder: string;
  signal: AbortSignal;
  /** As `performance.now()` counts; nothing else is measured after it. */
  deadline: number | null;
  screen: Screen;
  goal: Goal;
  cores: number;
}

/** Measures points, each once, and ranks them. */
class Bench {
  readonly #options: BenchOptions;
  readonly #rows: Row[] = [];
  #measured: Point[] = [];

  constructor(options: BenchOptions) {
    this.#options = options;
  }

  /** Whether no time is left to measure more. @param done points that were measured in addition to the rows */
  isLate(done = 0): boolean {
    const { deadline } = this.#options;
    return deadline !== null && performance.now() > deadline && this.#rows.length + done > 0;
  }

  get ranked(): Candidate[] {
    const { goal, cores } = this.#options;
    return rank(candidatesOf(this.#rows, cores, totalFps(goal) / pacedFps(goal)), goal);
  }

  get best(): Candidate {
    const [best] = this.ranked;
    if (best) return best;
    const [failure] = this.#rows.flatMap(({ failures }) => failures);
    throw new LookoutError(failure?.code ?? 'INTERNAL', failure?.message ?? 'nothing could be measured');
  }

  async measure(wanted: readonly Point[]): Promise<void> {
    const { models, folder, signal, screen, goal } = this.#options;
    const all = unique([...this.#measured, ...wanted]);
    const points = all.slice(this.#measured.length);
    this.#measured = all;
    const budget: Budget = { ...BUDGET, fps: pacedFps(goal) };
    const bar = new ProgressBar(screen, STEP_MS);
    const sweep = new Sweep({
      points,
      rounds: 1,
      models,
      costs: false,
      cameras: new Map(),
      folder,
      signal,
      budget: ({ done }) => (this.isLate(done) ? null : budget),
      onProgress: (...step) => bar.show(...step),
    });
    try {
      await sweep.run();
    } finally {
      bar.end();
    }
    signal.throwIfAborted();
    this.#rows.push(...sweep.rows);
  }
}

/** The configured model and its other encodings, by what `model.file` would be. */
async function modelsOf(config: LoadedConfig, folder: string): Promise<Map<string, ModelRef>> {
  const { file } = config.config.model;
  const configured = await findModel(file, config, folder);
  const models = new Map([[file, configured]]);
  if (file === 'builtin') return models;
  for (const other of (await encodingsOf(configured.file)).slice(1)) {
    models.set(other, { ...configured, name: basename(other), file: other });
  }
  return models;
}

async function providerOf(
  { config }: LoadedConfig,
  models: ReadonlyMap<string, ModelRef>,
  signal: AbortSignal,
): Promise<Provider> {
  const [model] = models.values();
  const working = await runJob('providers', { model: model! }, { signal, timeoutMs: 120_000 });
  return config.model.providers.find((name) => working.includes(name)) ?? 'cpu';
}

function baseOf({ config }: LoadedConfig, provider: Provider): Point {
  const [camera] = Object.values(config.cameras);
  const { width, height } = camera!.source;
  const { file, exact } = config.model;
  const alone = { threads: 1, sessions: 1, spinning: false, source: 'raw' };
  return { model: file, provider, exact, width, height, ...alone };
}

function choiceOf(
  best: Candidate,
  ranked: readonly Candidate[],
  goal: Goal,
  cores: number,
  models: ReadonlyMap<string, ModelRef>,
  base: Point,
): Choice {
  const { model, threads, sessions, spinning, exact, width, height } = best.point;
  return {
    file: model === base.model ? null : models.get(model)!.file,
    threads,
    sessions,
    spinning,
    width,
    height,
    exact: exact === 'never' && base.exact !== 'never' ? exact : null,
    lines: explain(best, ranked, goal, cores),
    temperature: best.temperature,
    at: new Date().toISOString(),
  };
}
