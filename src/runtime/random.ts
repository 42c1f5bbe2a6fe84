/** A stream of pseudo-random numbers that is the same for the same seed on every machine. */
export class Random {
  #state: number;

  /** Any numbers, whole or not; their order matters. */
  constructor(...seeds: number[]) {
    this.#state = 0x9e3779b9;
    for (const seed of seeds) {
      this.#state = (this.#state ^ Math.imul(Math.floor(seed) | 0, 0x85ebca6b)) | 0;
      this.next();
    }
  }

  /** 0 ≤ x < 1. Mulberry32 (Tommy Ettinger, public domain). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** low ≤ x < high. */
  range(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** Mean 0, standard deviation 1 (Box and Muller 1958). */
  gaussian(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)]!;
  }

  /** The items in random order. */
  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = Math.floor(this.next() * (i + 1));
      [result[i], result[j]] = [result[j]!, result[i]!];
    }
    return result;
  }
}
