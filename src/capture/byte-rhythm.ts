import type { Clock } from '../runtime/clock.ts';

/** Only pauses of half an interval that are at least this long tell anything: shorter ones are the scheduler's. */
const SHORTEST_PAUSE_MS = 40;
/** So many of the last pauses are looked at, and so many of them in the middle of a picture are too many. */
const PAUSES = 12;
const MISPLACED = 6;
/** The rate is measured over this time; more than this multiple of what was asked for is too much. */
const RATE_WINDOW_MS = 3000;
const RATE_EXCESS = 1.75;
/** Slower than this a camera may be unable to go. */
const SLOWEST_MEASURED_FPS = 5;

/**
 * Notices when a stream of bare frames is out of step: the program lost some bytes, or gives pictures of another
 * size. The bytes cannot tell, but their rhythm can. A camera program writes a picture at once and then waits for
 * the next, so pauses must lie between pictures; and it cannot be faster than it was told to be, as it seems when
 * its pictures have become larger by a whole factor.
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

  /** To be called when bytes arrive, with how many bytes of an unfinished picture there already were. */
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

  /** To be called for each complete picture. */
  picture(): void {
    this.#windowFrames++;
  }

  get outOfStep(): boolean {
    return this.#tooFast || this.#misplaced.filter(Boolean).length >= MISPLACED;
  }
}
