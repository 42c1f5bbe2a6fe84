import type { HealthSample } from '../board/health.ts';
import type { ErrorCode } from '../errors.ts';
import type { Annotation } from '../pixels/annotate.ts';
import type { Transform } from '../pixels/orientation.ts';
import type { ClockSetting, KnownTime, TimeHistory } from '../runtime/time-judge.ts';
import type { Detection, DetectionEvent, EventChange, FrameFormat, Stamp } from '../types.ts';

/** A message that must reach the broker at least once. */
export interface OutboxMessage {
  topic: string;
  payload: string;
  qos: 0 | 1;
  retain: boolean;
  /** Only relevant at its time: the first to be dropped when too many messages wait. */
  live: boolean;
}

/** A message that waits for the broker. Ids count up and are never used again. */
export interface OutboxRow extends OutboxMessage {
  id: number;
  /** When it was recorded, in wall-clock milliseconds since 1970, and under which setting of the clock. */
  createdAt: number;
  clock: number | null;
}

/** A waiting message for the publisher. */
export interface WaitingMessage extends OutboxMessage {
  id: number;
  /** When it was recorded, in milliseconds of the monotonic clock; null: unknown, so it is from an earlier run. */
  recordedAt: number | null;
}

/** An image to keep as a JPEG file. */
export interface SnapshotRequest extends Stamp {
  /** Relative to the snapshot folder, as returned by `snapshotPath`; an earlier file there is replaced. */
  path: string;
  /** The event of the snapshot; null for a requested one. */
  event: string | null;
  capturedAt: number;
  format: FrameFormat;
  /** The pixels; transferred to the store and back. */
  data: ArrayBuffer;
  transform: Transform;
  annotation: Annotation | null;
}

/** An image to encode as JPEG, and perhaps to keep. */
export interface EncodeRequest extends SnapshotRequest {
  /** Whether to write the file. */
  keep: boolean;
}

export interface SavedSnapshot {
  /** False if the file could not be written, which is logged. */
  written: boolean;
  jpeg: Uint8Array<ArrayBuffer>;
  /** The caller's buffer, back for the pool. */
  data: ArrayBuffer;
}

/** An event change with its messages. */
export interface EventEntry extends Stamp {
  change: EventChange;
  messages: OutboxMessage[];
  /** When it was recorded, wall-clock milliseconds since 1970. */
  recordedAt: number;
}

/** The content of one transaction. */
export interface Batch {
  events: EventEntry[];
  detections: Detection[];
  samples: (HealthSample & Stamp)[];
  /** Settings of the clock that the rows refer to. */
  clocks: readonly ClockSetting[];
  /** Outbox rows up to this id have reached the broker; 0: none. */
  publishedUpTo: number;
  /** How many of them the broker does not accept in any form. */
  undeliverable: number;
}

export interface Rejection {
  /** Index in the batch's events; null for a detection or a sample. */
  event: number | null;
  reason: string;
}

export interface CommitResult {
  /** Entries that were skipped because their values can never be written. */
  rejected: Rejection[];
  /** The database has grown over its limit. */
  overSize: boolean;
}

/** An event without an end, and when its label was last detected (its start, if no detection was logged). */
export interface LeftOpen {
  event: DetectionEvent;
  lastSeenAt: number;
}

/** A setting of a camera that was changed at runtime. Values are JSON. */
export interface Choice {
  camera: string;
  setting: string;
  value: string;
  /** The configured value at that time. */
  configured: string;
  /** Wall-clock milliseconds since 1970. */
  chosenAt: number;
}

/** Choices to keep, and those to forget. */
export interface ChoiceChanges {
  keep: Choice[];
  forget: Pick<Choice, 'camera' | 'setting'>[];
}

/** Retained topics that were published on a broker, and those that were cleared there. */
export interface AnnouncedChanges {
  broker: string;
  added: string[];
  removed: string[];
}

/** Figures of the store thread. */
export interface WorkerStats {
  outboxDepth: number;
  outboxBytes: number;
  /** Messages ever dropped because too many waited, or because they waited for too long. */
  outboxDropped: number;
  /** Rows in the log. Detections: the range of their ids, which is slightly too high after the clock was set back. */
  events: number;
  detections: number;
  databaseBytes: number;
  snapshotBytes: number;
  /** Bytes that the store thread has written to the disk; null if the kernel does not report them. */
  bytesWritten: number | null;
  /** What happened to a database that was damaged in this run; null: none was damaged. */
  damage: string | null;
}

/** A message of the store thread to log at level info. */
export interface LoggedInfo {
  info: string;
}

/** A message of the store thread to log at level error. */
export interface LoggedFault {
  code: ErrorCode;
  fault: string;
  hint: string;
}

export interface StoreStats extends WorkerStats {
  /** Event changes and detections that wait in memory for their commit. */
  waiting: number;
  /** Event changes and detections given up while the database could not be written. */
  lost: { events: number; detections: number };
  /** Why the database cannot be written at the moment; null if it can. */
  error: string | null;
  /** What is throttled to protect the card; null: nothing. */
  throttled: string | null;
}

/** What one maintenance run deleted. */
export interface RetentionResult {
  /** Rows with corrected times. */
  corrected: number;
  events: number;
  detections: number;
  samples: number;
  snapshots: number;
}

/** Calls from the main thread to the store thread; see rpc.ts. */
export interface WorkerApi {
  open(): TimeHistory;
  commit(batch: Batch): CommitResult;
  leftOpen(): LeftOpen[];
  outbox(afterId: number, limit: number): OutboxRow[];
  snapshot(request: EncodeRequest): {
    jpeg: SavedSnapshot['jpeg'];
    data: ArrayBuffer;
    fault: LoggedFault | null;
  };
  choices(): Choice[];
  /** Returns when the changes are on the disk. */
  choose(changes: ChoiceChanges): void;
  announced(broker: string): string[];
  announce(changes: AnnouncedChanges): void;
  maintain(time: KnownTime | null): RetentionResult;
  backup(time: number | null): void;
  stats(): WorkerStats;
  close(time: number | null): void;
}
