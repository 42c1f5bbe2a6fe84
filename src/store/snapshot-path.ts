/** Where snapshots are, relative to their folder: `<camera>/<YYYY-MM-DD>/<event id>.jpg`, the day in local time. */
import { join } from 'node:path';
import { localTime } from '../runtime/time-text.ts';
import type { DetectionEvent } from '../types.ts';

/** Stands in place of an event's id for the latest picture that was asked for. */
export const LATEST = 'latest';

const EXTENSION = '.jpg';

/** Where the snapshot of an event is, from the day on which the event started. */
export function snapshotPath({
  id,
  camera,
  startedAt,
}: Pick<DetectionEvent, 'id' | 'camera' | 'startedAt'>): string {
  return join(camera, localTime(startedAt).slice(0, 10), id + EXTENSION);
}
