/**
 * Frame buffers in reuse, so that a running camera allocates nothing for its pictures. Buffers travel: capture fills
 * them, the vision thread gets them by transfer, and whoever is last gives them back.
 */
export class FramePool {
  /** Size in bytes → free buffers of that size. Sizes used least lately come first. */
  readonly #free = new Map<number, ArrayBuffer[]>();
  readonly #maxFreeBytes: number;
  #freeBytes = 0;

  /** @param maxFreeBytes most memory that waits for reuse; buffers in use do not count */
  constructor(maxFreeBytes = 32 * 2 ** 20) {
    this.#maxFreeBytes = maxFreeBytes;
  }

  /** A buffer of exactly `bytes` bytes, its content undefined. */
  acquire(bytes: number): ArrayBuffer {
    const buffer = this.#free.get(bytes)?.pop();
    if (!buffer) return new ArrayBuffer(bytes);
    this.#freeBytes -= bytes;
    return buffer;
  }

  /** Takes a buffer back. One that was transferred away, or that does not fit in, is left to the collector. */
  release(buffer: ArrayBuffer): void {
    const bytes = buffer.byteLength;
    if (bytes === 0 || buffer.resizable || bytes > this.#maxFreeBytes) return;
    const list = this.#free.get(bytes) ?? [];
    if (list.includes(buffer)) return;
    this.#free.delete(bytes);
    this.#free.set(bytes, list);
    list.push(buffer);
    this.#freeBytes += bytes;
    while (this.#freeBytes > this.#maxFreeBytes) this.#dropOldest();
  }

  #dropOldest(): void {
    for (const [bytes, list] of this.#free) {
      if (list.shift()) {
        this.#freeBytes -= bytes;
        return;
      }
      this.#free.delete(bytes);
    }
  }
}
