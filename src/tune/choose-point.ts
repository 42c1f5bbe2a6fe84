/** Which of the measured points serves a goal best, and why. Pure. */
import { keyOf } from '../profile/measurement-plan.ts';
import type { Agreement, Point, Row } from '../profile/profile-types.ts';

export interface Goal {
  /** Wanted frames per second of each camera; null: as many as there can be. */
  fps: number | null;
  cameras: number;
  /** Share of all cores that must stay idle at that rate, percent. */
  minIdle: number;
  /** °C; null: what fits the board. */
  maxTemperature: number | null;
}

/** A point with the figures that matter here. */
export interface Candidate {
  point: Point;
  /** The most that it can do, frames per second of all cameras together. */
  fps: number;
  /** Percent of all cores that stay idle at the wanted rate. */
  idle: number;
  rssMb: number;
  /** The highest that was seen while it was measured, °C. */
  temperature: number | null;
}

/** What must be possible beyond the wanted rate, so that a busy moment drops no frames. */
export const HEADROOM = 1.25;
/** Figures that differ by less than this are the same: then fewer threads, sessions and megabytes count. */
const SAME = 0.05;

/**
 * Rows without figures are no candidates.
 * @param cores of the machine
 * @param times how often the rate at which the rows were paced goes into the wanted one
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

/** The best first: those that meet the goal by what they leave idle (or by their rate, where that is the goal). */
export function rank(candidates: readonly Candidate[], goal: Goal): Candidate[] {
  return candidates.toSorted((a, b) => {
    const meeting = Number(meets(b, goal)) - Number(meets(a, goal));
    if (meeting !== 0) return meeting;
    const worth = (candidate: Candidate) =>
      goal.fps === null ? candidate.fps : meets(candidate, goal) ? candidate.idle : bearable(candidate, goal);
    const [x, y] = [worth(a), worth(b)];
    if (Math.abs(x - y) > SAME * Math.max(x, y)) return y - x;
    return weight(a) - weight(b);
  });
}

/** What a point takes of the board beside time. */
function weight({ point, rssMb }: Candidate): number {
  const odd = Number(point.spinning) + Number(point.exact === 'never');
  return point.threads * point.sessions + odd + rssMb / 1000;
}

/** What will be of the heat; the limit needs no measuring. */
export function explainHeat(temperature: number | null, { maxTemperature }: Goal): string {
  const seen = temperature === null ? '' : `${temperature} °C when it was measured at full speed; `;
  const then =
    maxTemperature === null
      ? 'the thermal governor keeps the board below the temperature at which it would slow down'
      : `the thermal governor keeps the board below ${maxTemperature} °C, if need be by analysing fewer frames`;
  return `Heat: ${seen}${then}`;
}

/** The choice in three lines: what, why, and what of the heat. */
export function explain(best: Candidate, others: readonly Candidate[], goal: Goal, cores: number): string[] {
  const { point, fps, idle, temperature } = best;
  const { model, threads, sessions, width, height } = point;
  const shape = `${plural(sessions, 'session')} of ${plural(threads, 'thread')}`;
  const what = `${model} with ${shape}${unusual(point, ', ')}, pictures of ${width}×${height}`;
  const reach = `${fps.toFixed(1)} frames per second at most`;
  const next = others.find((other) => keyOf(other.point) !== keyOf(point));
  const beside = next
    ? `; next best ${shortName(next.point, point)}: ${next.fps.toFixed(1)} fps, ${next.idle.toFixed(0)} % idle`
    : '';
  const why =
    goal.fps === null
      ? `${reach}${beside}`
      : `${goal.fps * goal.cameras} frames per second leave ${idle.toFixed(0)} % of ${plural(cores, 'core')} idle (wanted ${goal.minIdle} %), and it can do ${reach}${beside}`;
  return [`Choice: ${what}`, `Because: ${why}`, explainHeat(temperature, goal)];
}

/** With the size of the pictures where it is another one. */
function shortName(point: Point, beside: Point): string {
  const { model, threads, sessions, width, height } = point;
  const size = width === beside.width && height === beside.height ? '' : ` with ${width}×${height}`;
  return `${model} ${threads}×${sessions}${unusual(point, ' ')}${size}`;
}

function unusual({ spinning, exact }: Point, before: string): string {
  return `${spinning ? `${before}spinning` : ''}${exact === 'auto' ? '' : `${before}exact: ${exact}`}`;
}

/** What the faster int8 kernel costs, or why it was not chosen. */
export function explainKernel(agreement: Agreement | null, saturates: boolean): string {
  if (agreement) {
    const { frames, same, largest } = agreement;
    return (
      `Exactness: the saturating int8 kernel gives the same first answer on ${same} of ${frames} frames; ` +
      `scores are off by up to ${largest.toFixed(2)}`
    );
  }
  return saturates
    ? 'Exactness: the exact int8 kernel stays; the saturating one gains too little'
    : 'Exactness: the standard int8 kernel is exact on this processor, there is nothing to gain';
}

/** Why nothing serves, and what would. */
export function refuse(best: Candidate, goal: Goal, cores: number): string {
  const wanted = (goal.fps ?? 0) * goal.cameras;
  const { point, fps, idle } = best;
  return (
    `${wanted} frames per second with ${point.model} leave ${idle.toFixed(0)} % of ${plural(cores, 'core')} idle, ` +
    `expected ${goal.minIdle} %; ${fps.toFixed(1)} are possible at most, expected ${(HEADROOM * wanted).toFixed(1)}. ` +
    `${(bearable(best, goal) / goal.cameras).toFixed(1)} frames per second of each camera would do`
  );
}

/** The rate of all cameras together at which both the headroom and the idle share would be kept. */
function bearable({ fps, idle }: Candidate, goal: Goal): number {
  const wanted = (goal.fps ?? 0) * goal.cameras;
  const busy = 100 - idle;
  return Math.min(
    fps / HEADROOM,
    busy > 0 ? (wanted * (100 - goal.minIdle)) / busy : Number.POSITIVE_INFINITY,
  );
}

const plural = (count: number, thing: string) => `${count} ${thing}${count === 1 ? '' : 's'}`;
