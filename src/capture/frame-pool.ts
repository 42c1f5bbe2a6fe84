import { free } from '../runtime/garbage.ts';

/** After so many acquisitions of a size, those of its buffers are let go that were never needed meanwhile. */
const REVIEW = 256;

/** Free buffers of one size. */
interface SizeClass {
  buffers: ArrayBuffer[];
  acquired: number;
  /** Number of the last release. */
  used: number;
  /** The fewest that lay here since the last review: so many were not needed. */
  lowWater: number;
}

/**
 * Frame buffers in reuse, so that a running camera allocates nothing for its pictures. Buffers travel: capture fills
 * them, the vision thread gets them by transfer, and whoever is last gives them back.
 */
export class FramePool {
  /** By size in bytes. */
  readonly #free = new Map<number, SizeClass>();
  readonly #maxFreeBytes: number;
  #freeBytes = 0;
  #releases = 0;

  /** @param maxFreeBytes most memory that waits for reuse; buffers in use do not count */
  constructor(maxFreeBytes = 32 * 2 ** 20) {
    this.#maxFreeBytes = maxFreeBytes;
  }

  /** A buffer of exactly `bytes` bytes, its content undefined. */
  acquire(bytes: number): ArrayBuffer {
    const shelf = this.#free.get(bytes);
    const buffer = shelf?.buffers.pop();
    if (!shelf || !buffer) {
      if (shelf) shelf.lowWater = 0;
      return new ArrayBuffer(bytes);
    }
    this.#freeBytes -= bytes;
    shelf.lowWater = Math.min(shelf.lowWater, shelf.buffers.length);
    if (++shelf.acquired >= REVIEW) this.#review(shelf, bytes);
    return buffer;
  }

  /** Takes a buffer back. One that was transferred away, or that does not fit in, is left to the collector. */
  release(buffer: ArrayBuffer): void {
    const bytes = buffer.byteLength;
    if (bytes === 0 || buffer.resizable || bytes > this.#maxFreeBytes) return;
    let shelf = this.#free.get(bytes);
    if (!shelf) {
      shelf = { buffers: [], acquired: 0, used: 0, lowWater: 0 };
      this.#free.set(bytes, shelf);
    }
    if (shelf.buffers.includes(buffer)) return;
    shelf.buffers.push(buffer);
    shelf.used = this.#releases++;
    this.#freeBytes += bytes;
    while (this.#freeBytes > this.#maxFreeBytes) this.#dropOldest();
  }

  /** Many events at one time need many buffers: memory must not remember that for ever. */
  #review(shelf: SizeClass, bytes: number): void {
    const unneeded = shelf.buffers.splice(0, shelf.lowWater);
    for (const buffer of unneeded) free(buffer);
    this.#freeBytes -= bytes * unneeded.length;
    shelf.acquired = 0;
    shelf.lowWater = shelf.buffers.length;
  }

  /** Lets go of a buffer whose size was used least lately. */
  #dropOldest(): void {
    const [[bytes, { buffers }]] = [...this.#free].sort(([, a], [, b]) => a.used - b.used) as [
      [number, SizeClass],
    ];
    const buffer = buffers.shift();
    if (buffer) {
      free(buffer);
      this.#freeBytes -= bytes;
    } else this.#free.delete(bytes);
  }
}
