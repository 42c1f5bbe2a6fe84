import { free } from '../runtime/garbage.ts';

/** After this many acquisitions of a size, its buffers that were not needed since the last review are freed. */
const REVIEW = 256;

/** Free buffers of one size. */
interface SizeClass {
  buffers: ArrayBuffer[];
  acquired: number;
  /** Sequence number of the last release. */
  used: number;
  /** The fewest free buffers since the last review: this many were not needed. */
  lowWater: number;
}

/**
 * Reusable frame buffers, so that a running camera allocates nothing per frame. Capture fills a buffer, transfers it to
 * the vision threads, and the last user releases it.
 */
export class FramePool {
  /** By size in bytes. */
  readonly #free = new Map<number, SizeClass>();
  readonly #maxFreeBytes: number;
  #freeBytes = 0;
  #releases = 0;

  /** @param maxFreeBytes limit of the memory held for reuse; buffers in use do not count */
  constructor(maxFreeBytes = 32 * 2 ** 20) {
    this.#maxFreeBytes = maxFreeBytes;
  }

  /** A buffer of exactly `bytes` bytes, its content undefined. */
  acquire(bytes: number): ArrayBuffer {
    const sizeClass = this.#free.get(bytes);
    const buffer = sizeClass?.buffers.pop();
    if (!sizeClass || !buffer) {
      if (sizeClass) sizeClass.lowWater = 0;
      return new ArrayBuffer(bytes);
    }
    this.#freeBytes -= bytes;
    sizeClass.lowWater = Math.min(sizeClass.lowWater, sizeClass.buffers.length);
    if (++sizeClass.acquired >= REVIEW) this.#review(sizeClass, bytes);
    return buffer;
  }

  /** Takes a buffer back. One that was transferred away or exceeds the limit is left to the garbage collector. */
  release(buffer: ArrayBuffer): void {
    const bytes = buffer.byteLength;
    if (bytes === 0 || buffer.resizable || bytes > this.#maxFreeBytes) return;
    let sizeClass = this.#free.get(bytes);
    if (!sizeClass) {
      sizeClass = { buffers: [], acquired: 0, used: 0, lowWater: 0 };
      this.#free.set(bytes, sizeClass);
    }
    if (sizeClass.buffers.includes(buffer)) return;
    sizeClass.buffers.push(buffer);
    sizeClass.used = this.#releases++;
    this.#freeBytes += bytes;
    while (this.#freeBytes > this.#maxFreeBytes) this.#dropOldest();
  }

  /** Frees the buffers of a past peak: many simultaneous events need many buffers only for a while. */
  #review(sizeClass: SizeClass, bytes: number): void {
    const unneeded = sizeClass.buffers.splice(0, sizeClass.lowWater);
    for (const buffer of unneeded) free(buffer);
    this.#freeBytes -= bytes * unneeded.length;
    sizeClass.acquired = 0;
    sizeClass.lowWater = sizeClass.buffers.length;
  }

  /** Frees a buffer of the least recently used size. */
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
