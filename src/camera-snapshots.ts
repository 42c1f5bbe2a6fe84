/**
 * The pictures of one camera: keeps the best frame of each open event until its start or end saves it, knows for which
 * events a file came of it, and gives out the picture that was asked for.
 */
import type { FramePool } from './capture/frame-pool.ts';
import type { CameraConfig } from './config/schema.ts';
import type { Publisher } from './publish/publisher.ts';
import { LATEST, snapshotPath } from './store/snapshot-path.ts';
import type { Store } from './store/store.ts';
import type { DetectionEvent, EventChange, Frame } from './types.ts';

/**
 * Pictures of one camera that are being written at a time. When events come faster than the disk takes pictures, some
 * events have none: they would pile up in memory.
 */
const MOST_SAVING = 6;

export interface CameraSnapshotsOptions {
  camera: string;
  config: Pick<CameraConfig, 'rotate' | 'mirror'>;
  store: Pick<Store, 'saveSnapshot'>;
  publisher: Pick<Publisher, 'publishSnapshot'>;
  /** Writes and tells a step of an event. */
  record: (change: EventChange) => void;
  pool: FramePool;
  /** Takes the work that goes on in the background. */
  watch: (work: Promise<unknown>) => void;
}

/** What is known of an event's picture until the event is over and nothing is being written any more. */
interface Kept {
  /** The best frame since the last save, and the event at that moment. */
  best: { event: DetectionEvent; frame: Frame } | null;
  /** The event's last step as it was told. */
  told: DetectionEvent | null;
  file: 'none' | 'expected' | 'there';
  /** Saves under way. */
  saving: number;
  over: boolean;
}

export class CameraSnapshots {
  readonly #options: CameraSnapshotsOptions;
  readonly #kept = new Map<string, Kept>();
  #wanted = false;
  #saving = 0;

  constructor(options: CameraSnapshotsOptions) {
    this.#options = options;
  }

  /** Keeps a copy of the picture for the event until its start or end saves it. */
  keepBest(event: DetectionEvent, frame: Frame): void {
    const { pool } = this.#options;
    const kept = this.#of(event.id);
    if (kept.best) pool.release(kept.best.frame.data);
    const data = pool.acquire(frame.data.byteLength);
    new Uint8Array(data).set(new Uint8Array(frame.data));
    kept.best = { event: { ...event }, frame: { ...frame, data } };
  }

  /** Writes into a step where the event's picture is, or is about to be; null if it could not be written. */
  attachSnapshot({ type, event }: EventChange): void {
    const kept = this.#of(event.id);
    if (type === 'start' && kept.best && this.#saving < MOST_SAVING) kept.file = 'expected';
    event.snapshot = kept.file === 'none' ? null : snapshotPath(event);
    kept.told = event;
  }

  /** Saves the best picture of an event that has started or ended. */
  save({ type, event }: EventChange): void {
    const kept = this.#of(event.id);
    kept.over = type === 'end';
    if (kept.best) {
      const { event: then, frame } = kept.best;
      kept.best = null;
      kept.saving++;
      if (this.#saving >= MOST_SAVING) {
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
    this.#tidy(event.id, kept);
  }

  /** Has the next frame saved and published. */
  requestSnapshot(): void {
    this.#wanted = true;
  }

  /** A picture that was asked for and never came is of no interest any more. */
  cancelRequest(): void {
    this.#wanted = false;
  }

  /** Passes a frame's buffer on when everybody has seen it. */
  finish(frame: Frame): void {
    if (this.#wanted && frame.data.byteLength > 0) {
      this.#wanted = false;
      this.#options.watch(this.#write(frame, null, true));
    } else this.#options.pool.release(frame.data);
  }

  #of(id: string): Kept {
    let kept = this.#kept.get(id);
    if (!kept) {
      kept = { best: null, told: null, file: 'none', saving: 0, over: false };
      this.#kept.set(id, kept);
    }
    return kept;
  }

  /** What was told of a file that did not come about, or came after all, is put right and told again. */
  #settle(kept: Kept, written: boolean): void {
    kept.saving--;
    if (written) kept.file = 'there';
    else if (kept.file === 'expected' && kept.saving === 0) kept.file = 'none';
    const told = kept.told!;
    const snapshot = kept.file === 'none' ? null : snapshotPath(told);
    if (snapshot !== told.snapshot) {
      kept.told = { ...told, snapshot };
      this.#options.record({ type: kept.over ? 'end' : 'update', event: kept.told });
    }
    this.#tidy(told.id, kept);
  }

  #tidy(id: string, { over, saving }: Kept): void {
    if (over && saving === 0) this.#kept.delete(id);
  }

  /** Writes a picture as the event's snapshot, or as the camera's when there is no event. */
  async #write(frame: Frame, event: DetectionEvent | null, publish: boolean): Promise<boolean> {
    const { camera, config, store, publisher, pool } = this.#options;
    this.#saving++;
    const saved = store.saveSnapshot({
      path: snapshotPath(event ?? { id: LATEST, camera, startedAt: frame.capturedAt }),
      event: event?.id ?? null,
      capturedAt: frame.capturedAt,
      format: frame.format,
      data: frame.data,
      transform: { rotate: config.rotate, mirror: config.mirror },
      annotation: event && { label: event.label, score: event.topScore, box: event.box },
    });
    const { jpeg, data, written } = await saved.finally(() => this.#saving--);
    pool.release(data);
    if (publish) publisher.publishSnapshot(camera, jpeg);
    return written;
  }
}
