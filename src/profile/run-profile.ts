/** `lookout profile`, from its options to a report. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadedConfig } from '../config/load-config.ts';
import { LookoutError } from '../errors.ts';
import type { Exact } from '../model/int8-kernel.ts';
import { makeFolder, removeFolder } from '../runtime/own-files.ts';
import { longRun } from './long-run.ts';
import {
  type Axes,
  combine,
  fullPlan,
  type PlanOptions,
  quickPlan,
  standardPlan,
} from './measurement-plan.ts';
import { type PaceOptions, paceOf } from './pace.ts';
import { runJob } from './profile-process.ts';
import { duration, ProgressBar, type Screen } from './profile-progress.ts';
import {
  type Failure,
  type ModelRef,
  type Point,
  type Provider,
  REPORT_VERSION,
  type Report,
  type Row,
} from './profile-types.ts';
import { findModel, installedModels, NO_MEMBER } from './profiled-models.ts';
import { readProvenance } from './provenance.ts';
import { failureOf, Sweep } from './sweep.ts';
import { SOURCES } from './workload.ts';

export interface ProfileOptions extends PaceOptions {
  config: LoadedConfig;
  models?: string[];
  threads?: number[];
  sessions?: number[];
  providers?: Provider[];
  spinning?: boolean[];
  exact?: Exact[];
  sizes?: Axes['size'];
  sources?: string[];
  /** Maximum seconds of a long run at the end. */
  sustain?: number;
  /** Ends the run; the results so far are reported. */
  signal: AbortSignal;
  screen: Screen;
}

/** @throws LookoutError USAGE, MODEL_* */
export async function runProfile(options: ProfileOptions): Promise<Report> {
  const { config, signal, screen } = options;
  const provenance = await readProvenance();
  const folder = await makeFolder(join(tmpdir(), 'lookout-profile-'));
  try {
    const { cores } = provenance;
    const configured = await findModel(config.config.model.file, config, folder);
    const working = await runJob('providers', { model: configured }, { signal, timeoutMs: 120_000 });
    const base = baseOf(config, cores, working);
    const installed = await installedModels(config);
    const points = planOf(options, { base, cores, installed, providers: working });
    const cameras = new Map(
      Object.entries(config.config.cameras)
        .filter(([name]) => !SOURCES.some((source) => source === name))
        .map(([name, { source }]) => [name, source]),
    );
    checkSources(points, [...cameras.keys()]);
    const { models, broken } = await findModels(points, options, folder);
    const { budget, rounds, eachMs } = paceOf(options, points.length, performance.now());
    const bar = new ProgressBar(screen, eachMs);
    const about = duration(eachMs * rounds * points.length);
    screen.write(`${plural(points.length, 'point')}, ${plural(rounds, 'round')}, about ${about}\n`);
    const sweep = new Sweep({
      costs: true,
      points,
      rounds,
      budget,
      models,
      broken,
      cameras,
      folder,
      signal,
      onProgress: (...step) => bar.show(...step),
    });
    try {
      await sweep.run();
    } finally {
      bar.end();
    }
    const report: Report = {
      format: 'lookout-profile',
      version: REPORT_VERSION,
      provenance,
      fps: options.fps,
      rounds,
      interrupted: signal.aborted,
      leftOut: signal.aborted ? [] : sweep.leftOut,
      models: sweep.models,
      rows: sweep.rows,
      sustained: null,
      sustainFailure: null,
    };
    const point = longPoint(report.rows, points[0]!.model);
    if (options.sustain === undefined || !point || signal.aborted) return report;
    const camera = cameras.get(point.source) ?? null;
    const work = { point, model: models.get(point.model)!, camera, folder };
    const { sustained, failure } = await longRun(work, options.sustain, { signal, screen });
    return { ...report, sustained, sustainFailure: failure, interrupted: signal.aborted };
  } finally {
    await removeFolder(folder);
  }
}

/** @throws LookoutError if a model that the user named cannot be measured; others are reported as broken */
async function findModels(
  points: readonly Point[],
  { config, models: named = [] }: ProfileOptions,
  folder: string,
): Promise<{ models: Map<string, ModelRef>; broken: Map<string, Failure> }> {
  const models = new Map<string, ModelRef>();
  const broken = new Map<string, Failure>();
  for (const name of new Set(points.map(({ model }) => model))) {
    try {
      models.set(name, await findModel(name, config, folder));
    } catch (error) {
      if (!named.includes(name) || !(error instanceof LookoutError)) broken.set(name, failureOf(error));
      else {
        const { code, message, hint } = error;
        const why = message.replace(/^model\.file: /, '');
        throw new LookoutError(code, `--models ${name}: ${why}`, {
          cause: error,
          hint: name.startsWith('v2-') ? NO_MEMBER : hint,
        });
      }
    }
  }
  return { models, broken };
}

/** The fastest point of the first named model: the long run of a smaller model says nothing about it. */
function longPoint(rows: readonly Row[], model: string): Point | null {
  const measured = rows
    .filter(({ metrics }) => metrics.pipeline_fps)
    .toSorted((a, b) => b.metrics.pipeline_fps!.value - a.metrics.pipeline_fps!.value);
  return (measured.find(({ point }) => point.model === model) ?? measured[0])?.point ?? null;
}

function planOf(options: ProfileOptions, plan: PlanOptions): Point[] {
  const { models, threads, sessions, providers, spinning, exact, sizes, sources } = options;
  const axes = {
    model: models,
    threads,
    sessions,
    provider: providers,
    spinning,
    exact,
    size: sizes,
    source: sources,
  };
  const given = Object.fromEntries(Object.entries(axes).filter(([, values]) => values)) as Partial<Axes>;
  if (options.full || options.quick) {
    // Other options replace the base, with one value for each axis.
    const [base] = combine(plan.base, given);
    return (options.full ? fullPlan : quickPlan)({ ...plan, base: base! });
  }
  if (Object.keys(given).length > 0) return combine(plan.base, given);
  if (options.sustain !== undefined) return [plan.base];
  return standardPlan(plan);
}

/** The configured settings, with the demo scene in the first camera's frame size. */
function baseOf({ config }: LoadedConfig, cores: number, working: readonly Provider[]): Point {
  const { file, threads, sessions, spinning, exact } = config.model;
  const [camera] = Object.values(config.cameras);
  return {
    model: file,
    threads: threads || Math.max(1, Math.floor(cores / 2)),
    sessions,
    provider: config.model.providers.find((name) => working.includes(name)) ?? 'cpu',
    spinning,
    exact,
    width: camera!.source.width,
    height: camera!.source.height,
    source: 'raw',
  };
}

function checkSources(points: readonly Point[], cameras: readonly string[]): void {
  const known: string[] = [...SOURCES, ...cameras];
  const unknown = points.find(({ source }) => !known.includes(source));
  if (!unknown) return;
  throw new LookoutError('USAGE', `--sources ${unknown.source}: expected one of ${known.join(', ')}`);
}

const plural = (count: number, thing: string) => `${count} ${thing}${count === 1 ? '' : 's'}`;
