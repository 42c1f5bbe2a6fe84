/** Paths of snapshots in their folder: `<camera>/<YYYY-MM-DD>/<event id>.jpg`, the day in local time. */
import { join } from 'node:path';
import { localTime } from '../runtime/time-text.ts';
import type { DetectionEvent } from '../types.ts';

/** Replaces the event id for the latest requested snapshot. */
export const LATEST = 'latest';

const EXTENSION = '.jpg';

/** The path of an event's snapshot, with the day on which the event started. */
export function snapshotPath({
  id,
  camera,
  startedAt,
}: Pick<DetectionEvent, 'id' | 'camera' | 'startedAt'>): string {
  return join(camera, localTime(startedAt).slice(0, 10), id + EXTENSION);
}
