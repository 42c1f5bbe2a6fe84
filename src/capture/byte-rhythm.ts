import type { Clock } from '../runtime/clock.ts';

/** Pauses of half an interval count only if they are at least this long: the scheduler causes shorter ones. */
const SHORTEST_PAUSE_MS = 40;
/** Number of recent pauses that are inspected, and how many of them may lie in the middle of a frame. */
const PAUSES = 12;
const MISPLACED = 6;
/** The rate is measured over this time; more than this multiple of the requested rate is too much. */
const RATE_WINDOW_MS = 3000;
const RATE_EXCESS = 1.75;
/** Below this rate a camera may be unable to run so slowly, so a higher rate proves nothing. */
const SLOWEST_MEASURED_FPS = 5;

/**
 * Detects that a stream of raw frames is out of sync: the program lost bytes, or sends frames of another size. The
 * bytes do not show it, but their timing does. A camera program writes one frame and then waits for the next, so pauses
 * lie between frames. It also cannot exceed its configured rate, but appears to when its frames have become larger by
 * an integer factor.
 */
export class Rhythm {
  readonly #clock: Clock;
  readonly #fps: number;
  readonly #pause: number;
  readonly #misplaced: boolean[] = [];
  #lastChunk: number | null = null;
  #windowStart = 0;
  #windowFrames = 0;
  #tooFast = false;

  constructor(clock: Clock, fps: number) {
    this.#clock = clock;
    this.#fps = fps;
    this.#pause = 500 / fps;
  }

  /** Call when bytes arrive. @param received bytes of the unfinished frame that had arrived before */
  bytes(received: number): void {
    const now = this.#clock.monotonic();
    if (this.#lastChunk === null) this.#windowStart = now;
    else if (now - this.#lastChunk > this.#pause && this.#pause >= SHORTEST_PAUSE_MS) {
      this.#misplaced.push(received > 0);
      if (this.#misplaced.length > PAUSES) this.#misplaced.shift();
    }
    this.#lastChunk = now;
    const elapsed = now - this.#windowStart;
    if (elapsed >= RATE_WINDOW_MS) {
      const expected = (elapsed / 1000) * this.#fps;
      this.#tooFast = this.#fps >= SLOWEST_MEASURED_FPS && this.#windowFrames > expected * RATE_EXCESS;
      this.#windowStart = now;
      this.#windowFrames = 0;
    }
  }

  /** Call for each complete frame. */
  frame(): void {
    this.#windowFrames++;
  }

  get outOfSync(): boolean {
    return this.#tooFast || this.#misplaced.filter(Boolean).length >= MISPLACED;
  }
}
