/** The payload of each topic. Times are ISO 8601 in UTC with milliseconds, shares are 0…1 with four decimals. */
import type { HealthSample } from '../board/health.ts';
import type { ThermalState } from '../board/thermal.ts';
import type { EventChange } from '../types.ts';

/** The retained `info` message about this device. The daemon may add more fields. */
export interface DeviceInfo {
  /** The version of Lookout. */
  version: string;
  /** For example `Raspberry Pi 5 Model B Rev 1.0`; null if unknown. */
  board: string | null;
  model: string;
  /** Execution provider that really runs the model. */
  provider: string;
  cameras: unknown;
  [more: string]: unknown;
}

const iso = (ms: number) => new Date(ms).toISOString();
const share = (value: number) => Math.round(value * 10_000) / 10_000;

/**
 * The JSON of a step of an event. `replayed` is false here; the outbox sets it in messages that were recorded before
 * the connection on which they are sent.
 */
export function eventPayload({ type, event }: EventChange): string {
  const { box, reason } = event;
  return JSON.stringify({
    id: event.id,
    type,
    camera: event.camera,
    label: event.label,
    score: share(event.score),
    top_score: share(event.topScore),
    box: [box.x, box.y, box.w, box.h].map(share),
    zone: event.zone,
    started_at: iso(event.startedAt),
    ended_at: event.endedAt === null ? null : iso(event.endedAt),
    snapshot: event.snapshot,
    model: event.model,
    reason: { ...reason, scores: reason.scores.map(share) },
    time_uncertain: event.timeUncertain ?? false,
    replayed: false,
  });
}

/** The same message with `replayed: true`. A payload that is not a JSON object stays unchanged. */
export function markReplayed(payload: string): string {
  const message = objectIn(payload);
  return message ? JSON.stringify({ ...message, replayed: true }) : payload;
}

/** The same message without optional fields, in at most `bytes` bytes; null if it does not fit. */
export function smallerEvent(payload: string, bytes: number): string | null {
  const message = objectIn(payload);
  if (!message) return null;
  for (const left of [{ reason: null }, { reason: null, snapshot: null }]) {
    const smaller = JSON.stringify({ ...message, ...left });
    if (Buffer.byteLength(smaller) <= bytes) return smaller;
  }
  return null;
}

function objectIn(json: string): object | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** Thermal state: the share of frames that is analysed, and why. */
export function thermalPayload({ analysisRate, ...state }: ThermalState): string {
  return JSON.stringify({ ...state, analysed_share: Math.round(analysisRate * 100) / 100 });
}

export function healthPayload(sample: HealthSample): string {
  return JSON.stringify({ ...sample, at: iso(sample.at) });
}

/** The state of a setting or a label: `ON`, `OFF`, a number or a name. */
export function statePayload(value: boolean | number | string): string {
  if (typeof value !== 'boolean') return String(value);
  return value ? 'ON' : 'OFF';
}
