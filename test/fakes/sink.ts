import { FramePool } from '../../src/capture/frame-pool.ts';
import type { FrameSink } from '../../src/capture/source.ts';
import type { RawFrame } from '../../src/types.ts';

/** A sink that keeps the frames and faults, and lets a test wait for them. */
export class FakeSink implements FrameSink {
  readonly frames: RawFrame[] = [];
  readonly faults: string[] = [];
  /** Buffers that were acquired and neither handed over nor given back. */
  readonly out = new Set<ArrayBuffer>();
  /** What `consumed` waits for. */
  analysis: () => Promise<void> = async () => {};
  readonly #pool = new FramePool();
  #waiters: { count: number; resolve: () => void }[] = [];

  acquire(bytes: number): ArrayBuffer {
    const buffer = this.#pool.acquire(bytes);
    this.out.add(buffer);
    return buffer;
  }

  release(buffer: ArrayBuffer): void {
    this.out.delete(buffer);
    this.#pool.release(buffer);
  }

  frame(frame: RawFrame): void {
    this.out.delete(frame.data);
    this.frames.push(frame);
    this.#waiters = this.#waiters.filter(({ count, resolve }) => {
      if (this.frames.length < count) return true;
      resolve();
      return false;
    });
  }

  consumed(): Promise<void> {
    return this.analysis();
  }

  fault(message: string): void {
    this.faults.push(message);
  }

  /** Resolves when there are at least `count` frames. */
  reaches(count: number): Promise<void> {
    if (this.frames.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ count, resolve }));
  }
}

/** One plane of an i420 frame as rows of bytes. */
export function plane({ format, data }: RawFrame, which: 'y' | 'u' | 'v'): Buffer[] {
  const { width, height } = format;
  const luma = width * height;
  const start = { y: 0, u: luma, v: luma * 1.25 }[which];
  const [w, h] = which === 'y' ? [width, height] : [width / 2, height / 2];
  return Array.from({ length: h }, (_, row) => Buffer.from(data, start + row * w, w));
}
