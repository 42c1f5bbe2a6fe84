import type { Clock } from '../../src/runtime/clock.ts';

/** A clock that moves only when told to. All its times advance together unless `jump` or `suspend` is used. */
export class FakeClock implements Clock {
  #now: number;
  #monotonic = 0;
  #suspended = 0;
  #timers = new Set<{ due: number; every: number | null; callback: () => void }>();

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now = () => this.#now;
  monotonic = () => this.#monotonic;
  sinceBoot = () => 1000 + this.#monotonic + this.#suspended;

  after(ms: number, callback: () => void): () => void {
    return this.#add({ due: this.#monotonic + ms, every: null, callback });
  }

  every(ms: number, callback: () => void): () => void {
    return this.#add({ due: this.#monotonic + ms, every: ms, callback });
  }

  /** Moves time on by `ms`, firing due timers in order. */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (;;) {
      const next = [...this.#timers].filter((t) => t.due <= end).sort((a, b) => a.due - b.due)[0];
      if (!next) break;
      this.#move(Math.max(0, next.due - this.#monotonic));
      if (next.every === null) this.#timers.delete(next);
      else next.due += next.every;
      next.callback();
    }
    this.#move(end - this.#monotonic);
  }

  /** Advances in steps, letting promises settle in between. */
  async advanceAsync(ms: number, step = ms): Promise<void> {
    for (let left = ms; left > 0; left -= step) {
      this.advance(Math.min(step, left));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Moves the wall clock alone, as NTP or a user does. */
  jump(ms: number): void {
    this.#now += ms;
  }

  /** Lets time pass in which the machine is suspended. */
  suspend(ms: number): void {
    this.#now += ms;
    this.#suspended += ms;
  }

  #move(ms: number) {
    this.#now += ms;
    this.#monotonic += ms;
  }

  #add(timer: { due: number; every: number | null; callback: () => void }) {
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }
}
