/** Conversion between rows of the database and types.ts. */
import type { HealthSample } from '../board/health.ts';
import type { Detection, DetectionEvent, Reason, Stamp } from '../types.ts';
import type { OutboxRow } from './store-types.ts';

interface BoxColumns {
  box_x: number;
  box_y: number;
  box_w: number;
  box_h: number;
}

export interface EventRow extends BoxColumns {
  seq: number;
  id: string;
  camera: string;
  zone: string | null;
  label: string;
  score: number;
  top_score: number;
  started_at: number;
  ended_at: number | null;
  model: string;
  snapshot: string | null;
  reason: string;
  changed: number;
  time_uncertain: number;
  clock: number | null;
}

export interface DetectionRow extends BoxColumns {
  captured_at: number;
  camera: string;
  zone: string | null;
  label: string;
  score: number;
  time_uncertain: number;
  model: string;
  clock: number | null;
}

export interface OutboxColumns {
  id: number;
  created_at: number;
  clock: number | null;
  topic: string;
  payload: string;
  qos: number;
  retain: number;
  live: number;
}

function boxColumns({ x, y, w, h }: DetectionEvent['box']): BoxColumns {
  return { box_x: x, box_y: y, box_w: w, box_h: h };
}

export function toEvent(row: EventRow): DetectionEvent {
  return {
    id: row.id,
    camera: row.camera,
    zone: row.zone,
    label: row.label,
    score: row.score,
    topScore: row.top_score,
    box: { x: row.box_x, y: row.box_y, w: row.box_w, h: row.box_h },
    startedAt: row.started_at,
    endedAt: row.ended_at,
    model: row.model,
    snapshot: row.snapshot,
    reason: JSON.parse(row.reason) as Reason,
    ...(row.time_uncertain ? { timeUncertain: true } : {}),
  };
}

export function fromEvent(event: DetectionEvent): Omit<EventRow, 'seq' | 'changed'> {
  return {
    id: event.id,
    camera: event.camera,
    zone: event.zone,
    label: event.label,
    score: event.score,
    top_score: event.topScore,
    ...boxColumns(event.box),
    started_at: Math.round(event.startedAt),
    ended_at: event.endedAt === null ? null : Math.round(event.endedAt),
    model: event.model,
    snapshot: event.snapshot,
    reason: JSON.stringify(event.reason),
    time_uncertain: Number(event.timeUncertain ?? false),
    clock: event.clock ?? null,
  };
}

export function fromDetection(detection: Detection): DetectionRow {
  return {
    captured_at: Math.round(detection.capturedAt),
    camera: detection.camera,
    zone: detection.zone,
    label: detection.label,
    score: detection.score,
    ...boxColumns(detection.box),
    time_uncertain: Number(detection.timeUncertain ?? false),
    model: detection.model,
    clock: detection.clock ?? null,
  };
}

export function toOutboxRow(row: OutboxColumns): OutboxRow {
  return {
    id: row.id,
    createdAt: row.created_at,
    clock: row.clock,
    topic: row.topic,
    payload: row.payload,
    qos: row.qos === 0 ? 0 : 1,
    retain: row.retain !== 0,
    live: row.live !== 0,
  };
}

/** A health sample as columns: lists and objects become JSON, booleans become 0 or 1. */
export function fromSample(sample: HealthSample & Stamp): Record<string, number | string | null> {
  const { cameras, throttled, throttle_reasons, problems, outbox_mb, timeUncertain, clock, ...numbers } =
    sample;
  return {
    ...numbers,
    at: Math.round(sample.at),
    throttled: throttled === null ? null : Number(throttled),
    throttle_reasons: throttle_reasons.length === 0 ? null : JSON.stringify(throttle_reasons),
    cameras: JSON.stringify(cameras),
    time_uncertain: Number(timeUncertain ?? false),
    clock: clock ?? null,
  };
}

/** `INSERT INTO table (a, b) VALUES (@a, @b)` */
export function insertSql(table: string, columns: readonly string[]): string {
  return `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((name) => `@${name}`).join(', ')})`;
}

export const EVENT_COLUMNS = [
  'id',
  'camera',
  'zone',
  'label',
  'score',
  'top_score',
  'box_x',
  'box_y',
  'box_w',
  'box_h',
  'started_at',
  'ended_at',
  'model',
  'snapshot',
  'reason',
  'time_uncertain',
  'clock',
] as const satisfies readonly (keyof EventRow)[];

export const DETECTION_COLUMNS = [
  'captured_at',
  'camera',
  'zone',
  'label',
  'score',
  'box_x',
  'box_y',
  'box_w',
  'box_h',
  'time_uncertain',
  'model',
  'clock',
] as const satisfies readonly (keyof DetectionRow)[];

export const SAMPLE_COLUMNS = [
  'at',
  'uptime_s',
  'fps',
  'frames_captured',
  'frames_analysed',
  'frames_dropped',
  'inference_ms_p50',
  'inference_ms_p90',
  'inference_ms_p99',
  'cpu_percent',
  'cpu_children_percent',
  'temperature_c',
  'throttled',
  'throttle_reasons',
  'event_loop_ms_p99',
  'bytes_written',
  'outbox_depth',
  'outbox_dropped',
  'cameras',
  'time_uncertain',
  'clock',
  'rss_mb',
] as const;
