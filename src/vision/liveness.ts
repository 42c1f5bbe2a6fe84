import type { Clock } from '../runtime/clock.ts';

const CHECK_MS = 250;
/** Shortest silence that counts as a hang … */
const MIN_TIMEOUT_MS = 3000;
/** … and its multiple of the average time per frame. */
const TIMES_AVERAGE = 10;
/** Timeouts for the first answer, while providers initialise: at the start, and after a restart of the threads. */
const START_TIMEOUT_MS = 30_000;
const RESTART_TIMEOUT_MS = 8000;
/** Weight of the latest frame in the moving average. */
const WEIGHT = 0.05;

/**
 * Detects threads that have frames in flight and return none. A thread inside ONNX Runtime can be neither queried nor
 * terminated: only its silence shows that it hangs.
 */
export class Liveness {
  readonly #clock: Clock;
  readonly #onHang: (silentMs: number) => void;
  #inFlight = 0;
  #silentMs = 0;
  #checkedAt = 0;
  /** Average milliseconds per frame; null: not known yet. Excludes the first frame of new threads, which takes longer. */
  #averageMs: number | null = null;
  #answered = false;
  #cancel: (() => void) | null = null;

  /** @param onHang called once; after `restart`, it can be called again */
  constructor(clock: Clock, onHang: (silentMs: number) => void) {
    this.#clock = clock;
    this.#onHang = onHang;
  }

  /** Milliseconds of silence that count as a hang. */
  get timeoutMs(): number {
    if (this.#averageMs === null) return this.#answered ? RESTART_TIMEOUT_MS : START_TIMEOUT_MS;
    return Math.max(this.#answered ? MIN_TIMEOUT_MS : RESTART_TIMEOUT_MS, TIMES_AVERAGE * this.#averageMs);
  }

  /** Call for new threads: nothing is in flight, and their first frame may take longer. */
  restart(): void {
    this.stop();
    this.#inFlight = 0;
    this.#silentMs = 0;
    this.#answered = false;
    this.#checkedAt = this.#clock.monotonic();
    this.#cancel = this.#clock.every(CHECK_MS, () => this.#check());
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  sent(): void {
    this.#inFlight++;
  }

  /** @param ms processing time of the frame in the threads */
  answered(ms: number): void {
    this.#inFlight--;
    this.#silentMs = 0;
    if (!this.#answered) {
      this.#answered = true;
      return;
    }
    this.#averageMs = this.#averageMs === null ? ms : this.#averageMs + (ms - this.#averageMs) * WEIGHT;
  }

  #check(): void {
    const now = this.#clock.monotonic();
    // A process that was itself stopped, or starved of CPU time, must not count that time as silence.
    this.#silentMs = this.#inFlight > 0 ? this.#silentMs + Math.min(now - this.#checkedAt, 2 * CHECK_MS) : 0;
    this.#checkedAt = now;
    if (this.#silentMs < this.timeoutMs) return;
    this.stop();
    this.#onHang(this.#silentMs);
  }
}
