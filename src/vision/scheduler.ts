import type { Frame } from '../types.ts';

/** A camera's place in the queue. */
interface Place {
  /** Its latest frame, while it waits. */
  frame: Frame | null;
  /** Called when the frame waits no more. */
  onConsumed: (() => void)[];
}

/**
 * Decides which frame is analysed next: of each camera only the latest waits, cameras take turns, and no more than
 * `credits` frames are under way at once.
 */
export class Scheduler {
  readonly #places = new Map<string, Place>();
  /** Whoever was served last stands last. */
  readonly #queue: Place[] = [];
  #credits: number;

  constructor(cameras: Iterable<string>, credits: number) {
    for (const camera of cameras) this.#place(camera);
    this.#credits = credits;
  }

  /** Lets a frame wait; returns the older one that it replaces. */
  offer(frame: Frame): Frame | null {
    const place = this.#place(frame.camera);
    const replaced = place.frame;
    place.frame = frame;
    return replaced;
  }

  /** The frame whose turn it is, which is under way from now on; null if none waits or all credits are used. */
  take(): Frame | null {
    if (this.#credits <= 0) return null;
    for (const [index, place] of this.#queue.entries()) {
      if (!place.frame) continue;
      this.#credits--;
      this.#queue.splice(index, 1);
      this.#queue.push(place);
      return empty(place);
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
    const place = this.#place(camera);
    if (!place.frame) return Promise.resolve();
    return new Promise((resolve) => place.onConsumed.push(resolve));
  }

  /** Takes away all frames that wait. */
  clear(): Frame[] {
    return this.#queue.map(empty).filter((frame) => frame !== null);
  }

  #place(camera: string): Place {
    let place = this.#places.get(camera);
    if (!place) {
      place = { frame: null, onConsumed: [] };
      this.#places.set(camera, place);
      this.#queue.push(place);
    }
    return place;
  }
}

function empty(place: Place): Frame | null {
  const { frame, onConsumed } = place;
  place.frame = null;
  place.onConsumed = [];
  for (const resolve of onConsumed) resolve();
  return frame;
}
