/** Chooses the measured point that meets a goal best, and explains the choice. Pure. */
import { keyOf } from '../profile/measurement-plan.ts';
import type { Agreement, Point, Row } from '../profile/profile-types.ts';

export interface Goal {
  /** Frames per second of each camera; null: as many as possible. */
  fps: number | null;
  cameras: number;
  /** Share of all cores that must stay idle at that rate, percent. */
  minIdle: number;
  /** °C; null: the board's default limit. */
  maxTemperature: number | null;
}

/** A point with the figures that matter here. */
export interface Candidate {
  point: Point;
  /** Maximum frames per second of all cameras together. */
  fps: number;
  /** Percent of all cores that stay idle at the goal's rate. */
  idle: number;
  rssMb: number;
  /** Highest temperature during the measurement, °C. */
  temperature: number | null;
}

/** Reserve above the goal's rate, so that a busy moment drops no frames. */
export const HEADROOM = 1.25;
/** Figures that differ by less than this count as equal: then fewer threads, sessions and megabytes win. */
const SAME = 0.05;

/**
 * Makes candidates of the rows that have figures.
 * @param cores of the machine
 * @param times the goal's rate divided by the paced rate of the rows
 */
export function candidatesOf(rows: readonly Row[], cores: number, times = 1): Candidate[] {
  return rows.flatMap(({ point, metrics, stamps }) => {
    const { pipeline_fps, paced_cpu_percent, paced_camera_cpu_percent, rss_mb } = metrics;
    if (!pipeline_fps || !paced_cpu_percent || !rss_mb) return [];
    const busy = times * (paced_cpu_percent.value + (paced_camera_cpu_percent?.value ?? 0));
    const idle = Math.max(0, 100 - busy / cores);
    const temperatures = stamps.flatMap(({ after }) => after.temperature_c ?? []);
    const temperature = temperatures.length > 0 ? Math.max(...temperatures) : null;
    return [{ point, fps: pipeline_fps.value, idle, rssMb: rss_mb.value, temperature }];
  });
}

export function meets({ fps, idle }: Candidate, goal: Goal): boolean {
  return goal.fps === null || (fps >= HEADROOM * goal.fps * goal.cameras && idle >= goal.minIdle);
}

/** Sorts candidates, the best first: by whether they meet the goal, then by idle share (or rate, if that is the goal). */
export function rank(candidates: readonly Candidate[], goal: Goal): Candidate[] {
  return candidates.toSorted((a, b) => {
    const meeting = Number(meets(b, goal)) - Number(meets(a, goal));
    if (meeting !== 0) return meeting;
    const worth = (candidate: Candidate) =>
      goal.fps === null
        ? candidate.fps
        : meets(candidate, goal)
          ? candidate.idle
          : possibleFps(candidate, goal);
    const [x, y] = [worth(a), worth(b)];
    if (Math.abs(x - y) > SAME * Math.max(x, y)) return y - x;
    return weight(a) - weight(b);
  });
}

/** Resources of a point other than time. */
function weight({ point, rssMb }: Candidate): number {
  const odd = Number(point.spinning) + Number(point.exact === 'never');
  return point.threads * point.sessions + odd + rssMb / 1000;
}

/** Explains the temperature limit, which needs no measurement. */
export function explainThermal(temperature: number | null, { maxTemperature }: Goal): string {
  const measured = temperature === null ? '' : `${temperature} °C measured at full speed; `;
  const then =
    maxTemperature === null
      ? 'the thermal governor keeps the board below the temperature at which it would throttle'
      : `the thermal governor keeps the board below ${maxTemperature} °C, if necessary by analysing fewer frames`;
  return `Thermal: ${measured}${then}`;
}

/** Explains the choice in three lines: what, why, and thermal. */
export function explain(best: Candidate, others: readonly Candidate[], goal: Goal, cores: number): string[] {
  const { point, fps, idle, temperature } = best;
  const { model, threads, sessions, width, height } = point;
  const shape = `${plural(sessions, 'session')} of ${plural(threads, 'thread')}`;
  const what = `${model} with ${shape}${unusual(point, ', ')}, frames of ${width}×${height}`;
  const reach = `${fps.toFixed(1)} frames per second at most`;
  const next = others.find((other) => keyOf(other.point) !== keyOf(point));
  const beside = next
    ? `; next best ${shortName(next.point, point)}: ${next.fps.toFixed(1)} fps, ${next.idle.toFixed(0)} % idle`
    : '';
  const why =
    goal.fps === null
      ? `${reach}${beside}`
      : `${goal.fps * goal.cameras} frames per second leave ${idle.toFixed(0)} % of ${plural(cores, 'core')} idle (goal: ${goal.minIdle} %), and it reaches ${reach}${beside}`;
  return [`Choice: ${what}`, `Because: ${why}`, explainThermal(temperature, goal)];
}

/** Name of a point, with the frame size if it differs. */
function shortName(point: Point, beside: Point): string {
  const { model, threads, sessions, width, height } = point;
  const size = width === beside.width && height === beside.height ? '' : ` with ${width}×${height}`;
  return `${model} ${threads}×${sessions}${unusual(point, ' ')}${size}`;
}

function unusual({ spinning, exact }: Point, before: string): string {
  return `${spinning ? `${before}spinning` : ''}${exact === 'auto' ? '' : `${before}exact: ${exact}`}`;
}

/** Explains the cost of the faster int8 kernel, or why it was not chosen. */
export function explainKernel(agreement: Agreement | null, saturates: boolean): string {
  if (agreement) {
    const { frames, same, largest } = agreement;
    return (
      `Exactness: the saturating int8 kernel gives the same top-1 class for ${same} of ${frames} frames; ` +
      `scores differ by up to ${largest.toFixed(2)}`
    );
  }
  return saturates
    ? 'Exactness: the exact int8 kernel is kept; the saturating one gains too little'
    : 'Exactness: the standard int8 kernel is exact on this processor; no faster one exists';
}

/** Explains why no point meets the goal, and which rate would be possible. */
export function refuse(best: Candidate, goal: Goal, cores: number): string {
  const wanted = (goal.fps ?? 0) * goal.cameras;
  const { point, fps, idle } = best;
  return (
    `${wanted} frames per second with ${point.model} leave ${idle.toFixed(0)} % of ${plural(cores, 'core')} idle, ` +
    `expected ${goal.minIdle} %; the maximum is ${fps.toFixed(1)}, expected ${(HEADROOM * wanted).toFixed(1)}. ` +
    `${(possibleFps(best, goal) / goal.cameras).toFixed(1)} frames per second of each camera are possible`
  );
}

/** The rate of all cameras together that keeps both the headroom and the idle share. */
function possibleFps({ fps, idle }: Candidate, goal: Goal): number {
  const wanted = (goal.fps ?? 0) * goal.cameras;
  const busy = 100 - idle;
  return Math.min(
    fps / HEADROOM,
    busy > 0 ? (wanted * (100 - goal.minIdle)) / busy : Number.POSITIVE_INFINITY,
  );
}

const plural = (count: number, thing: string) => `${count} ${thing}${count === 1 ? '' : 's'}`;
