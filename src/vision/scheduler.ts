import type { Frame } from '../types.ts';

/** A camera's place in the queue. */
interface Place {
  /** Its latest frame, while it waits. */
  frame: Frame | null;
  /** Called when the frame no longer waits. */
  onConsumed: (() => void)[];
}

/**
 * Decides which frame is analysed next: only the latest frame of each camera waits, cameras take turns, and at most
 * `credits` frames are in flight.
 */
export class Scheduler {
  readonly #places = new Map<string, Place>();
  /** The camera that was served last is at the end. */
  readonly #queue: Place[] = [];
  #credits: number;

  constructor(cameras: Iterable<string>, credits: number) {
    for (const camera of cameras) this.#place(camera);
    this.#credits = credits;
  }

  /** Adds a frame; returns the older one that it replaces. */
  offer(frame: Frame): Frame | null {
    const place = this.#place(frame.camera);
    const replaced = place.frame;
    place.frame = frame;
    return replaced;
  }

  /** Takes the next frame, which is then in flight; null if none waits or all credits are used. */
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

  /** Changes the limit of frames in flight; those already in flight stay. */
  setCredits(before: number, after: number): void {
    this.#credits += after - before;
  }

  /** Call when a frame in flight is done or lost. */
  done(): void {
    this.#credits++;
  }

  /** Resolves when no frame of the camera waits. */
  consumed(camera: string): Promise<void> {
    const place = this.#place(camera);
    if (!place.frame) return Promise.resolve();
    return new Promise((resolve) => place.onConsumed.push(resolve));
  }

  /** Removes and returns all waiting frames. */
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
