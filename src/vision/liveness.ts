import type { Clock } from '../runtime/clock.ts';

const LOOK_MS = 250;
/** Shortest silence that is taken for a hang … */
const SHORTEST_MS = 3000;
/** … and how many times as long as a usual frame it must be. */
const TIMES_USUAL = 10;
/** Before the first answer, when providers prepare themselves: of all threads, and of those that replace others. */
const FIRST_MS = 30_000;
const FIRST_AGAIN_MS = 8000;
/** What the latest frame counts for in the usual one. */
const LATEST = 0.05;

/**
 * Notices that threads have frames and give none back. A thread inside of ONNX Runtime cannot be asked, nor ended:
 * only its silence tells.
 */
export class Liveness {
  readonly #clock: Clock;
  readonly #onHang: (silentMs: number) => void;
  #waiting = 0;
  #silentMs = 0;
  #lookedAt = 0;
  /** Milliseconds that a frame takes of late; null: not known yet. The first of new threads tells nothing of others. */
  #usual: number | null = null;
  #answered = false;
  #cancel: (() => void) | null = null;

  /** @param onHang called once; `restart` begins anew */
  constructor(clock: Clock, onHang: (silentMs: number) => void) {
    this.#clock = clock;
    this.#onHang = onHang;
  }

  /** Milliseconds of silence that are taken for a hang. */
  get patience(): number {
    if (this.#usual === null) return this.#answered ? FIRST_AGAIN_MS : FIRST_MS;
    return Math.max(this.#answered ? SHORTEST_MS : FIRST_AGAIN_MS, TIMES_USUAL * this.#usual);
  }

  /** New threads: nothing is under way, and they may take their time for their first frame. */
  restart(): void {
    this.stop();
    this.#waiting = 0;
    this.#silentMs = 0;
    this.#answered = false;
    this.#lookedAt = this.#clock.monotonic();
    this.#cancel = this.#clock.every(LOOK_MS, () => this.#look());
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  sent(): void {
    this.#waiting++;
  }

  /** @param ms that the frame took in the threads */
  answered(ms: number): void {
    this.#waiting--;
    this.#silentMs = 0;
    if (!this.#answered) {
      this.#answered = true;
      return;
    }
    this.#usual = this.#usual === null ? ms : this.#usual + (ms - this.#usual) * LATEST;
  }

  #look(): void {
    const now = this.#clock.monotonic();
    // A process that was itself stopped, or starved, has heard nothing for that reason alone.
    this.#silentMs = this.#waiting > 0 ? this.#silentMs + Math.min(now - this.#lookedAt, 2 * LOOK_MS) : 0;
    this.#lookedAt = now;
    if (this.#silentMs < this.patience) return;
    this.stop();
    this.#onHang(this.#silentMs);
  }
}
