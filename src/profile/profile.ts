/** `lookout profile`, from its options to a report. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { LoadedConfig } from '../config/load.ts';
import { LookoutError } from '../errors.ts';
import { describe, findModel, installedModels } from './models.ts';
import { type Axes, combine, fullPlan, type PlanOptions, quickPlan, standardPlan } from './plan.ts';
import { runJob } from './process.ts';
import { duration, ProgressBar } from './progress.ts';
import { readProvenance } from './provenance.ts';
import { type Step, Sweep } from './sweep.ts';
import {
  type Budget,
  type ModelRef,
  type Point,
  type Provider,
  REPORT_VERSION,
  type Report,
  type Sustained,
  type SustainSample,
} from './types.ts';
import { judge } from './verdict.ts';
import { SOURCES, writeConfig } from './workload.ts';

export interface ProfileOptions {
  config: LoadedConfig;
  quick?: boolean;
  full?: boolean;
  models?: string[];
  threads?: number[];
  sessions?: number[];
  providers?: Provider[];
  spinning?: boolean[];
  sizes?: Axes['size'];
  sources?: string[];
  /** Rate of the paced part. */
  fps: number;
  rounds?: number;
  /** Length of each part of a round. */
  seconds?: number;
  /** Most seconds of a long run at the end. */
  sustain?: number;
  /** Ends it; what was measured is reported. */
  signal: AbortSignal;
  screen: Screen;
}

interface Screen {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/** What a process takes to start, warm up and stop, twice, on a fast machine. */
const OVERHEAD_MS = 3000;
/** All of a quick sweep, with some room below the minute that it may take, and the least that is worth measuring. */
const QUICK_MS = 45_000;
const LEAST_MS = 1500;
const STANDARD = { pipelineMs: 2000, pacedMs: 2000, inferenceMs: 3000, rounds: 3 };
const FULL = { pipelineMs: 3000, pacedMs: 3000, inferenceMs: 20_000, rounds: 3 };

/** @throws LookoutError USAGE, MODEL_* */
export async function runProfile(options: ProfileOptions): Promise<Report> {
  const { config, signal, screen } = options;
  const provenance = await readProvenance();
  const folder = await mkdtemp(join(tmpdir(), 'lookout-profile-'));
  try {
    const { cores } = provenance;
    const configured = await findModel(config.config.model.file, config, folder);
    const working = await runJob('providers', { model: configured }, { signal, timeoutMs: 120_000 });
    const base = baseOf(config, cores, working);
    const installed = await installedModels(config);
    const points = planOf(options, { base, cores, installed, providers: working });
    const cameras = new Map(
      Object.entries(config.config.cameras).map(([name, { source }]) => [name, source]),
    );
    checkSources(points, [...cameras.keys()]);
    const models = new Map<string, ModelRef>();
    for (const { model } of points) {
      if (!models.has(model)) models.set(model, await findModel(model, config, folder));
    }
    const { budget, rounds, eachMs } = paceOf(options, points.length);
    const bar = new ProgressBar(screen, eachMs);
    screen.write(
      `${points.length} points, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, about ${duration(eachMs * rounds * points.length)}\n`,
    );
    const onProgress = (...step: Parameters<ProgressBar['show']>) => bar.show(...step);
    const sweep = new Sweep({
      costs: true,
      points,
      rounds,
      budget,
      models,
      cameras,
      folder,
      signal,
      onProgress,
    });
    try {
      await sweep.run();
    } finally {
      bar.end();
    }
    const report: Report = {
      ...{ format: 'lookout-profile', version: REPORT_VERSION, provenance, fps: options.fps, rounds },
      interrupted: signal.aborted,
      ...{ models: sweep.models, rows: sweep.rows, sustained: null },
    };
    const best = report.rows
      .filter(({ metrics }) => metrics.pipeline_fps)
      .sort((a, b) => b.metrics.pipeline_fps!.value - a.metrics.pipeline_fps!.value)[0];
    if (options.sustain !== undefined && best && !signal.aborted) {
      const { point } = best;
      const camera = cameras.get(point.source) ?? null;
      const sustained = await sustain({ point, model: models.get(point.model)!, camera, folder }, options);
      return { ...report, sustained, interrupted: signal.aborted };
    }
    return report;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function sustain(
  work: Omit<Parameters<typeof writeConfig>[0], 'label'>,
  { sustain: seconds = 0, signal, screen }: ProfileOptions,
): Promise<Sustained | null> {
  const { description } = await describe(work.model);
  const file = await writeConfig({ ...work, label: description.labels[0]! }, null);
  const samples: SustainSample[] = [];
  const bar = new ProgressBar(screen, 1000);
  try {
    await runJob(
      'sustain',
      { config: file, seconds },
      {
        signal,
        timeoutMs: 1000 * seconds + 120_000,
        onSample: (sample) => {
          samples.push(sample);
          const { t, fps, temperature_c } = sample;
          const heat = temperature_c === null ? '' : `, ${temperature_c.toFixed(1)} °C`;
          if (screen.isTTY) bar.show(Math.round(t), Math.round(seconds), `${fps.toFixed(1)} fps${heat}`);
        },
      },
    );
  } catch (error) {
    if (!signal.aborted || samples.length === 0) throw error;
  } finally {
    bar.end();
    await rm(dirname(file), { recursive: true, force: true });
  }
  return samples.length === 0 ? null : { point: work.point, samples, verdict: judge(samples) };
}

function planOf(options: ProfileOptions, plan: PlanOptions): Point[] {
  const { models, threads, sessions, providers, spinning, sizes, sources } = options;
  const axes = {
    ...{ model: models, threads, sessions, provider: providers, spinning, size: sizes, source: sources },
  };
  const given = Object.fromEntries(Object.entries(axes).filter(([, values]) => values)) as Partial<Axes>;
  if (options.full || options.quick) {
    // What is named besides replaces the base, one value for each axis.
    const [base] = combine(plan.base, given);
    return (options.full ? fullPlan : quickPlan)({ ...plan, base: base! });
  }
  if (Object.keys(given).length > 0) return combine(plan.base, given);
  return standardPlan(plan);
}

/** The configured settings with the first camera's picture, of which the scene is shown. */
function baseOf({ config }: LoadedConfig, cores: number, working: readonly Provider[]): Point {
  const { file, threads, sessions, spinning } = config.model;
  const [camera] = Object.values(config.cameras);
  return {
    model: file,
    threads: threads || Math.max(1, Math.floor(cores / 2)),
    sessions,
    provider: config.model.providers.find((name) => working.includes(name)) ?? 'cpu',
    spinning,
    width: camera!.source.width,
    height: camera!.source.height,
    source: 'raw',
  };
}

function checkSources(points: readonly Point[], cameras: readonly string[]): void {
  const known = [...SOURCES, ...cameras];
  const unknown = points.find(({ source }) => !known.includes(source));
  if (!unknown) return;
  throw new LookoutError('USAGE', `--sources ${unknown.source}: expected one of ${known.join(', ')}`);
}

interface Pace {
  rounds: number;
  /** What a round may take, without and with what comes on top of it. */
  budget: (step: Step) => Budget;
  eachMs: number;
}

function paceOf({ quick, full, seconds, fps, rounds }: ProfileOptions, points: number): Pace {
  if (seconds !== undefined || !quick) {
    const { rounds: usual, ...parts } = full ? FULL : STANDARD;
    const ms = 1000 * (seconds ?? 0);
    const same = { pipelineMs: ms, pacedMs: ms, inferenceMs: ms };
    const budget = { ...(seconds === undefined ? parts : same), fps, multiStream: !quick };
    const eachMs = OVERHEAD_MS + budget.pacedMs + budget.pipelineMs + 1.5 * budget.inferenceMs;
    return { rounds: rounds ?? (quick ? 1 : usual), budget: () => budget, eachMs };
  }
  const times = rounds ?? 1;
  return { rounds: times, budget: quickBudget(fps), eachMs: QUICK_MS / (points * times) };
}

/** Shares out what is left of a quick sweep's time, learning what comes on top of the measuring. */
function quickBudget(fps: number): Pace['budget'] {
  let spent = 0;
  return ({ done, total, elapsedMs }) => {
    const overhead = done > 0 ? (elapsedMs - spent) / done : OVERHEAD_MS;
    const each = Math.max(LEAST_MS, (QUICK_MS - elapsedMs) / (total - done) - overhead);
    spent += each;
    return { pacedMs: 0.3 * each, pipelineMs: 0.25 * each, inferenceMs: 0.3 * each, fps, multiStream: false };
  };
}
