import type { Frame } from '../types.ts';

/**
 * Decides which frame is analysed next: of each camera only the latest waits, cameras take turns, and no more than
 * `credits` frames are under way at once.
 */
export class Scheduler {
  readonly #waiting = new Map<string, Frame | null>();
  readonly #consumed = new Map<string, (() => void)[]>();
  #credits: number;

  constructor(cameras: Iterable<string>, credits: number) {
    for (const camera of cameras) this.#waiting.set(camera, null);
    this.#credits = credits;
  }

  /** Lets a frame wait; returns the older one that it replaces. */
  offer(frame: Frame): Frame | null {
    const replaced = this.#waiting.get(frame.camera) ?? null;
    this.#waiting.set(frame.camera, frame);
    return replaced;
  }

  /** The frame whose turn it is, which is under way from now on; null if none waits or all credits are used. */
  take(): Frame | null {
    if (this.#credits <= 0) return null;
    for (const [camera, frame] of this.#waiting) {
      if (!frame) continue;
      this.#credits--;
      // Back to the end of the queue.
      this.#waiting.delete(camera);
      this.#waiting.set(camera, null);
      this.#settle(camera);
      return frame;
    }
    return null;
  }

  /** Changes how many frames may be under way at once; those that already are stay. */
  setCredits(before: number, after: number): void {
    this.#credits += after - before;
  }

  /** A frame that was under way is done or lost. */
  done(): void {
    this.#credits++;
  }

  /** Resolves when a new frame of the camera would replace none. */
  consumed(camera: string): Promise<void> {
    if (!this.#waiting.get(camera)) return Promise.resolve();
    return new Promise((resolve) => {
      const waiters = this.#consumed.get(camera) ?? [];
      this.#consumed.set(camera, [...waiters, resolve]);
    });
  }

  /** Takes away all frames that wait. */
  clear(): Frame[] {
    const frames = [...this.#waiting.values()].filter((frame) => frame !== null);
    for (const camera of this.#waiting.keys()) {
      this.#waiting.set(camera, null);
      this.#settle(camera);
    }
    return frames;
  }

  #settle(camera: string): void {
    const waiters = this.#consumed.get(camera) ?? [];
    this.#consumed.delete(camera);
    for (const resolve of waiters) resolve();
  }
}
