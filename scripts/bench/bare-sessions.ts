/** The threads of `bare.ts`. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Ask, Told } from './bare.ts';

/** `session.run()` in a loop, in threads that rest in between. */
export class Bare {
  readonly #workers: readonly Worker[];

  private constructor(workers: readonly Worker[]) {
    this.#workers = workers;
  }

  /** One session with so many threads. */
  static start(file: string, threads: number): Promise<Bare> {
    return Bare.#start([threads], file);
  }

  /** So many sessions with one thread each. */
  static several(file: string, sessions: number): Promise<Bare> {
    return Bare.#start(
      Array.from({ length: sessions }, () => 1),
      file,
    );
  }

  static async #start(sessions: number[], file: string): Promise<Bare> {
    const url = new URL('./bare.ts', import.meta.url);
    const workers = sessions.map((threads) => new Worker(url, { workerData: { file, threads } }));
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    return new Bare(workers);
  }

  /**
   * @param everyMs milliseconds from the start of one inference of a session to that of the next; 0: without a pause
   * @returns frames per second of all sessions together, and the processor time of one inference in its thread
   */
  async run(seconds: number, everyMs = 0): Promise<Told> {
    const answers = this.#workers.map((worker) => once(worker, 'message') as Promise<[Told]>);
    for (const worker of this.#workers)
      worker.postMessage({ milliseconds: 1000 * seconds, everyMs } satisfies Ask);
    const told = (await Promise.all(answers)).map(([each]) => each);
    const fps = told.reduce((sum, each) => sum + each.fps, 0);
    return { fps, cpuMs: told.reduce((sum, each) => sum + each.fps * each.cpuMs, 0) / fps };
  }

  async stop(): Promise<void> {
    const ends = this.#workers.map((worker) => once(worker, 'exit'));
    for (const worker of this.#workers) worker.postMessage({ milliseconds: 0, everyMs: 0 } satisfies Ask);
    await Promise.all(ends);
  }
}
