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

  constructor(credits: number) {
    this.#credits = credits;
  }

  /** Lets a frame wait; returns the older one that it replaces. */
  offer(frame: Frame): Frame | null {
    let place = this.#places.get(frame.camera);
    if (!place) {
      place = { frame: null, onConsumed: [] };
      this.#places.set(frame.camera, place);
      this.#queue.push(place);
    }
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
    const place = this.#places.get(camera);
    if (!place?.frame) return Promise.resolve();
    return new Promise((resolve) => place.onConsumed.push(resolve));
  }

  /** Takes away all frames that wait. */
  clear(): Frame[] {
    return this.#queue.map(empty).filter((frame) => frame !== null);
  }
}

function empty(place: Place): Frame | null {
  const { frame, onConsumed } = place;
  place.frame = null;
  place.onConsumed = [];
  for (const resolve of onConsumed) resolve();
  return frame;
}
