/** Shows the progress of a sweep: a bar with the time left on a terminal, else a line for each point. */

const BAR = 24;
const ERASE = '\r\x1b[K';

export interface Screen {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export class ProgressBar {
  readonly #screen: Screen;
  readonly #expectedMs: number;
  readonly #now: () => number;
  readonly #began: number;
  #stepBegan: number;
  #shown = '';
  #last: [done: number, total: number, doing: string] = [0, 1, ''];
  #timer: NodeJS.Timeout | undefined;

  /** @param expectedMs planned time of one step, used until steps have been measured */
  constructor(screen: Screen, expectedMs: number, now: () => number = () => performance.now()) {
    this.#screen = screen;
    this.#expectedMs = expectedMs;
    this.#now = now;
    this.#began = now();
    this.#stepBegan = this.#began;
    if (screen.isTTY) this.#timer = setInterval(() => this.#draw(), 1000).unref();
  }

  show(done: number, total: number, doing: string): void {
    if (done !== this.#last[0]) this.#stepBegan = this.#now();
    this.#last = [done, total, doing];
    if (this.#screen.isTTY) this.#draw();
    else if (doing) this.#screen.write(`${done + 1}/${total}  ${this.#left(done, total)} left  ${doing}\n`);
  }

  /** Erases the bar. */
  end(): void {
    clearInterval(this.#timer);
    if (this.#shown) this.#screen.write(ERASE);
    this.#shown = '';
  }

  #draw(): void {
    const [done, total, doing] = this.#last;
    const full = Math.floor(BAR * Math.min(1, done / total));
    const bar = `${'█'.repeat(full)}${'░'.repeat(BAR - full)}`;
    const line = `${bar} ${done}/${total}  ${this.#left(done, total)} left  ${doing}`;
    this.#shown = line.slice(0, (this.#screen.columns ?? 80) - 1);
    this.#screen.write(`${ERASE}${this.#shown}`);
  }

  #left(done: number, total: number): string {
    const each = done > 0 ? (this.#stepBegan - this.#began) / done : this.#expectedMs;
    // The time left also decreases during a step.
    const spent = Math.min(this.#now() - this.#stepBegan, each);
    return duration((total - done) * each - spent);
  }
}

/** For example `45 s`, `3 min 20 s` or `2 h 5 min`. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
