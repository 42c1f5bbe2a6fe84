/**
 * The snapshots of one camera: keeps the best frame of each open event until the event's start or end saves it, knows
 * which events have a file, and publishes the snapshot that a command requests.
 */
import type { FramePool } from './capture/frame-pool.ts';
import type { CameraConfig } from './config/schema.ts';
import type { EventRecorder } from './event-recorder.ts';
import type { Publisher } from './publish/publisher.ts';
import { LATEST, snapshotPath } from './store/snapshot-path.ts';
import type { Store } from './store/store.ts';
import type { DetectionEvent, EventChange, Frame } from './types.ts';

/**
 * Snapshots of one camera that are in flight to the disk at a time. When events come faster than the disk accepts
 * snapshots, further events have none: their frames would pile up in memory.
 */
const MAX_IN_FLIGHT = 6;

export interface CameraSnapshotsOptions {
  camera: string;
  config: Pick<CameraConfig, 'rotate' | 'mirror'>;
  store: Pick<Store, 'saveSnapshot'>;
  publisher: Pick<Publisher, 'publishSnapshot'>;
  recorder: Pick<EventRecorder, 'amend'>;
  pool: FramePool;
  /** Takes work that continues in the background. */
  watch: (work: Promise<unknown>) => void;
}

/** State of an event's snapshot until the event is over and no write is in flight. */
interface EventSnapshot {
  /** The best frame since the last save, and the event at that moment. */
  best: { event: DetectionEvent; frame: Frame } | null;
  /** The event's latest step as it was recorded. */
  recorded: DetectionEvent | null;
  file: 'none' | 'expected' | 'written';
  /** Writes in flight. */
  inFlight: number;
  over: boolean;
}

export class CameraSnapshots {
  readonly #options: CameraSnapshotsOptions;
  readonly #kept = new Map<string, EventSnapshot>();
  #requested = false;
  #inFlight = 0;

  constructor(options: CameraSnapshotsOptions) {
    this.#options = options;
  }

  /** Keeps a copy of the frame for the event until its start or end saves it. */
  keepBest(event: DetectionEvent, frame: Frame): void {
    const { pool } = this.#options;
    const kept = this.#of(event.id);
    if (kept.best) pool.release(kept.best.frame.data);
    const data = pool.acquire(frame.data.byteLength);
    new Uint8Array(data).set(new Uint8Array(frame.data));
    kept.best = { event: { ...event }, frame: { ...frame, data } };
  }

  /** Sets the `snapshot` of a step: the path of the file that is or will be written; null without one. */
  attachSnapshot({ type, event }: EventChange): void {
    const kept = this.#of(event.id);
    if (type === 'start' && kept.best && this.#inFlight < MAX_IN_FLIGHT) kept.file = 'expected';
    event.snapshot = kept.file === 'none' ? null : snapshotPath(event);
    kept.recorded = event;
  }

  /** Saves the best frame of an event that has started or ended. */
  save({ type, event }: EventChange): void {
    const kept = this.#of(event.id);
    kept.over = type === 'end';
    if (kept.best) {
      const { event: then, frame } = kept.best;
      kept.best = null;
      kept.inFlight++;
      if (this.#inFlight >= MAX_IN_FLIGHT) {
        this.#options.pool.release(frame.data);
        this.#settle(kept, false);
        return;
      }
      const saved = this.#write(frame, then, type === 'start').then(
        (written) => this.#settle(kept, written),
        (error: unknown) => {
          this.#settle(kept, false);
          throw error;
        },
      );
      this.#options.watch(saved);
    }
    this.#forgetIfDone(event.id, kept);
  }

  /** Has the next frame saved and published. */
  requestSnapshot(): void {
    this.#requested = true;
  }

  /** Forgets a request that no frame has served. */
  cancelRequest(): void {
    this.#requested = false;
  }

  /** Takes a frame when nothing else uses it: saves it if a snapshot is requested, else releases its buffer. */
  finish(frame: Frame): void {
    if (this.#requested && frame.data.byteLength > 0) {
      this.#requested = false;
      this.#options.watch(this.#write(frame, null, true));
    } else this.#options.pool.release(frame.data);
  }

  #of(id: string): EventSnapshot {
    let kept = this.#kept.get(id);
    if (!kept) {
      kept = { best: null, recorded: null, file: 'none', inFlight: 0, over: false };
      this.#kept.set(id, kept);
    }
    return kept;
  }

  /** Records the event again when its file was not written, or was written in a second attempt. */
  #settle(kept: EventSnapshot, written: boolean): void {
    kept.inFlight--;
    if (written) kept.file = 'written';
    else if (kept.file === 'expected' && kept.inFlight === 0) kept.file = 'none';
    const recorded = kept.recorded!;
    const snapshot = kept.file === 'none' ? null : snapshotPath(recorded);
    if (snapshot !== recorded.snapshot) {
      kept.recorded = { ...recorded, snapshot };
      this.#options.recorder.amend({ type: kept.over ? 'end' : 'update', event: kept.recorded });
    }
    this.#forgetIfDone(recorded.id, kept);
  }

  #forgetIfDone(id: string, { over, inFlight }: EventSnapshot): void {
    if (over && inFlight === 0) this.#kept.delete(id);
  }

  /** Writes a frame as the event's snapshot, or as the camera's latest one without an event. */
  async #write(frame: Frame, event: DetectionEvent | null, publish: boolean): Promise<boolean> {
    const { camera, config, store, publisher, pool } = this.#options;
    this.#inFlight++;
    const saved = store.saveSnapshot({
      path: snapshotPath(event ?? { id: LATEST, camera, startedAt: frame.capturedAt }),
      event: event?.id ?? null,
      capturedAt: frame.capturedAt,
      format: frame.format,
      data: frame.data,
      transform: { rotate: config.rotate, mirror: config.mirror },
      annotation: event && { label: event.label, score: event.topScore, box: event.box },
    });
    const { jpeg, data, written } = await saved.finally(() => this.#inFlight--);
    pool.release(data);
    if (publish) publisher.publishSnapshot(camera, jpeg);
    return written;
  }
}
