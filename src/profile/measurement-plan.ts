/** Plans the points of a sweep. */
import type { Exact } from '../model/int8-kernel.ts';
import { memberName, RESOLUTIONS, WIDTHS } from './family.ts';
import type { Point, Provider } from './profile-types.ts';

/** Values for each axis of a sweep. */
export interface Axes {
  model: readonly string[];
  threads: readonly number[];
  sessions: readonly number[];
  provider: readonly Provider[];
  spinning: readonly boolean[];
  exact: readonly Exact[];
  size: readonly { width: number; height: number }[];
  source: readonly string[];
}

export interface PlanOptions {
  base: Point;
  cores: number;
  /** Installed models, the configured one first. */
  installed: readonly string[];
  /** Execution providers that this machine has. */
  providers: readonly Provider[];
}

const SIZES = [
  { width: 320, height: 240 },
  { width: 640, height: 480 },
  { width: 1280, height: 720 },
];
const PRECISIONS = ['int8', 'fp32'] as const;
/** About every second width and resolution: enough to see the curve. */
const FEW_WIDTHS = [0.35, 0.75, 1, 1.4];
const FEW_RESOLUTIONS = [96, 160];

/** Every combination of the values given; an axis that is not given stays at the base. */
export function combine(base: Point, axes: Partial<Axes>): Point[] {
  const of = <T>(values: readonly T[] | undefined, fallback: T) =>
    values && values.length > 0 ? values : [fallback];
  const sizes = of(axes.size, { width: base.width, height: base.height });
  const points: Point[] = [];
  for (const model of of(axes.model, base.model))
    for (const provider of of(axes.provider, base.provider))
      for (const { width, height } of sizes)
        for (const source of of(axes.source, base.source))
          for (const spinning of of(axes.spinning, base.spinning))
            for (const exact of of(axes.exact, base.exact))
              for (const sessions of of(axes.sessions, base.sessions))
                for (const threads of of(axes.threads, base.threads))
                  points.push({ model, threads, sessions, provider, spinning, exact, width, height, source });
  return points;
}

/** A few points of the configured model, measured in less than a minute. */
export function quickPlan({ base, cores }: PlanOptions): Point[] {
  return unique([
    base,
    { ...base, threads: 1, sessions: 1 },
    { ...base, threads: cores, sessions: 1 },
    { ...base, threads: 1, sessions: cores },
  ]);
}

/** One axis at a time around the base, and some members of the family. */
export function standardPlan({ base, cores, installed, providers }: PlanOptions): Point[] {
  const upTo = counts(cores);
  const family = [
    ...FEW_WIDTHS.map((width) => memberName({ width, resolution: 224, precision: 'int8' })),
    ...FEW_RESOLUTIONS.map((resolution) => memberName({ width: 1, resolution, precision: 'int8' })),
    memberName({ width: 1, resolution: 224, precision: 'fp32' }),
  ];
  return unique([
    base,
    ...combine({ ...base, sessions: 1 }, { threads: upTo }),
    ...combine({ ...base, threads: 1 }, { sessions: upTo }),
    { ...base, spinning: !base.spinning },
    ...combine(base, { size: SIZES }),
    ...combine(base, { source: ['jpeg', 'demo'] }),
    ...combine(base, { provider: providers }),
    ...combine(base, { model: [...installed, ...family] }),
  ]);
}

/**
 * Everything: installed models with every way to share the cores between threads and sessions, spinning and not, on
 * each provider; sizes and sources of the camera; the whole family, one inference at a time and one on each core.
 */
export function fullPlan({ base, cores, installed, providers }: PlanOptions): Point[] {
  const shares = counts(cores).flatMap((sessions) =>
    counts(Math.floor(cores / sessions)).map((threads) => ({ threads, sessions })),
  );
  const members = PRECISIONS.flatMap((precision) =>
    WIDTHS.flatMap((width) => RESOLUTIONS.map((resolution) => memberName({ width, resolution, precision }))),
  );
  return unique([
    base,
    ...shares.flatMap((share) =>
      combine({ ...base, ...share }, { model: installed, provider: providers, spinning: [false, true] }),
    ),
    ...combine(base, { size: SIZES, source: ['raw', 'jpeg', 'demo'] }),
    ...[
      { threads: 1, sessions: 1 },
      { threads: cores, sessions: 1 },
      { threads: 1, sessions: cores },
    ].flatMap((share) => combine({ ...base, ...share }, { model: members })),
  ]);
}

/** A readable text that identifies a point. */
export function keyOf({
  model,
  threads,
  sessions,
  provider,
  spinning,
  exact,
  width,
  height,
  source,
}: Point): string {
  const times = `${threads}×${sessions}`;
  const unusual = [...(spinning ? ['spinning'] : []), ...(exact === 'auto' ? [] : [`exact:${exact}`])];
  return [model, times, provider, ...unusual, `${width}x${height}`, source].join(' ');
}

export function unique(points: readonly Point[]): Point[] {
  return [...new Map(points.map((point) => [keyOf(point), point])).values()];
}

const counts = (most: number) => Array.from({ length: most }, (_, index) => index + 1);
