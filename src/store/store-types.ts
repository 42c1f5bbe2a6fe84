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
  /** Of interest only at its time: the first to be dropped when too much waits. */
  live: boolean;
}

/** A message that waits for the broker. Ids count up and are never used again. */
export interface OutboxRow extends OutboxMessage {
  id: number;
  /** When it was recorded, wall-clock milliseconds since 1970, under which setting of the clock. */
  createdAt: number;
  clock: number | null;
}

/** The same as the publisher sees it. */
export interface WaitingMessage extends OutboxMessage {
  id: number;
  /** When it was recorded, milliseconds of the clock that never jumps; null: nobody knows, which is of an earlier run. */
  recordedAt: number | null;
}

/** A picture to keep as a JPEG. */
export interface SnapshotRequest extends Stamp {
  /** Relative to the snapshot folder, as `snapshotPath` makes it; an earlier file there is replaced. */
  path: string;
  /** The event whose picture it is; null for one that was asked for. */
  event: string | null;
  capturedAt: number;
  format: FrameFormat;
  /** The pixels; transferred to the store and back. */
  data: ArrayBuffer;
  transform: Transform;
  annotation: Annotation | null;
}

/** A picture of which the JPEG alone is wanted. */
export interface EncodeRequest extends SnapshotRequest {
  /** Whether it becomes a file. */
  keep: boolean;
}

export interface SavedSnapshot {
  /** False if the file could not be written, which the log says. */
  written: boolean;
  jpeg: Uint8Array<ArrayBuffer>;
  /** The caller's buffer, back for the pool. */
  data: ArrayBuffer;
}

/** An event change with the messages that go out because of it. */
export interface EventEntry extends Stamp {
  change: EventChange;
  messages: OutboxMessage[];
  /** When it was recorded, wall-clock milliseconds since 1970. */
  recordedAt: number;
}

/** Everything that one transaction writes. */
export interface Batch {
  events: EventEntry[];
  detections: Detection[];
  samples: (HealthSample & Stamp)[];
  /** Settings of the clock that the rows refer to. */
  clocks: readonly ClockSetting[];
  /** Outbox rows up to this id have reached the broker; 0: none. */
  publishedUpTo: number;
  /** How many of them the broker does not take in any form. */
  undeliverable: number;
}

export interface Rejection {
  /** Index in the batch's events; null for a detection or a sample. */
  event: number | null;
  reason: string;
}

export interface CommitResult {
  /** Entries that were left out, because what they hold can never be written. */
  rejected: Rejection[];
  /** The database has grown over its limit. */
  overSize: boolean;
}

/** An event without an end, and when its label was last detected (its start, if no detection was logged). */
export interface LeftOpen {
  event: DetectionEvent;
  lastSeenAt: number;
}

/** A setting of a camera that was chosen while Lookout ran. Values are JSON. */
export interface Choice {
  camera: string;
  setting: string;
  value: string;
  /** What the configuration said at that time. */
  configured: string;
  /** Wall-clock milliseconds since 1970. */
  chosenAt: number;
}

/** Choices to keep, and those to forget. */
export interface ChoiceChanges {
  keep: Choice[];
  forget: Pick<Choice, 'camera' | 'setting'>[];
}

/** Retained topics that were published on a broker, and those that were emptied there. */
export interface AnnouncedChanges {
  broker: string;
  added: string[];
  removed: string[];
}

/** What the worker counts. */
export interface WorkerStats {
  outboxDepth: number;
  outboxBytes: number;
  /** Messages ever dropped because too many waited, or for too long. */
  outboxDropped: number;
  /** Rows in the log. Detections: the span of their ids, which is a few too many after the clock was set back. */
  events: number;
  detections: number;
  databaseBytes: number;
  snapshotBytes: number;
  /** Bytes that the store sent to the disk since its thread started; null where the kernel does not say. */
  bytesWritten: number | null;
  /** What became of a database that was damaged in this run; null: none was. */
  damage: string | null;
}

/** What the worker tells that is no fault. */
export interface News {
  news: string;
}

/** What the worker says for the log. */
export interface Notice {
  code: ErrorCode;
  notice: string;
  hint: string;
}

export interface StoreStats extends WorkerStats {
  /** Event changes and detections that wait in memory for their commit. */
  waiting: number;
  /** Event changes and detections given up while the database could not be written. */
  lost: { events: number; detections: number };
  /** Why the database cannot be written just now. */
  error: string | null;
  /** What is held back to spare the card; null: nothing. */
  throttled: string | null;
}

/** What retention removed in one run. */
export interface RetentionResult {
  /** Rows whose times were put right. */
  corrected: number;
  events: number;
  detections: number;
  samples: number;
  snapshots: number;
}

/** What the worker does for the main thread; see rpc.ts. */
export interface WorkerApi {
  open(): TimeHistory;
  commit(batch: Batch): CommitResult;
  leftOpen(): LeftOpen[];
  outbox(afterId: number, limit: number): OutboxRow[];
  snapshot(request: EncodeRequest): {
    jpeg: SavedSnapshot['jpeg'];
    data: ArrayBuffer;
    fault: Notice | null;
  };
  choices(): Choice[];
  /** The changes are on the disk when this returns. */
  choose(changes: ChoiceChanges): void;
  announced(broker: string): string[];
  announce(changes: AnnouncedChanges): void;
  maintain(time: KnownTime | null): RetentionResult;
  backup(time: number | null): void;
  stats(): WorkerStats;
  close(time: number | null): void;
}
