/** The whole pipeline beside bare `session.run()`, and four cameras beside one. */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { framesPerSecond } from './daemon.ts';
import { replayCamera, type Settings, writeConfig } from './settings.ts';
import type { Row } from './table.ts';

/** `session.run()` in a loop, in a thread that rests in between. */
class Bare {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  static async start(file: string, threads: number): Promise<Bare> {
    const worker = new Worker(new URL('./bare.ts', import.meta.url), { workerData: { file, threads } });
    await once(worker, 'message');
    return new Bare(worker);
  }

  /** @returns frames per second */
  async run(seconds: number): Promise<number> {
    this.#worker.postMessage(1000 * seconds);
    const [fps] = (await once(this.#worker, 'message')) as [number];
    return fps;
  }

  async stop(): Promise<void> {
    this.#worker.postMessage(0);
    await once(this.#worker, 'exit');
  }
}

/**
 * Each round measures bare, pipeline and bare again, so that a machine that slows down meanwhile favours neither.
 * @param file the .onnx file of the model
 */
export async function pipelineRows(settings: Settings, file: string): Promise<Row[]> {
  const { folder, broker, rounds, seconds, say } = settings;
  const cores = availableParallelism();
  const rows: Row[] = [];
  for (const [threads, limit] of [[1, 0.97], ...(cores > 1 ? [[cores, 0.88]] : [])] as [number, number][]) {
    const bare = await Bare.start(file, threads);
    const cameras = { bench: replayCamera(join(folder, 'frames.y4m')) };
    const config = writeConfig(settings, `pipeline-${threads}`, { threads, cameras });
    const ratios: number[] = [];
    const speeds: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      const before = await bare.run(seconds / 2);
      const pipeline = await framesPerSecond(broker, config, seconds);
      const after = await bare.run(seconds / 2);
      ratios.push(pipeline / ((before + after) / 2));
      speeds.push(pipeline);
      const shown = [before, after].map((fps) => fps.toFixed(1)).join(' and ');
      say(`${threads} thread(s), ${round}/${rounds}: pipeline ${pipeline.toFixed(1)} fps, bare ${shown} fps`);
    }
    await bare.stop();
    const name = threads === 1 ? '1 inference thread' : `all ${threads} cores`;
    rows.push(
      { what: `whole pipeline, ${name}`, measured: speeds, digits: 1, unit: 'fps' },
      {
        what: `whole pipeline ÷ bare session.run(), ${name}`,
        measured: ratios,
        limit: { atLeast: limit },
        digits: 3,
      },
    );
  }
  return rows;
}

/** Total frames per second of four cameras beside those of one, with all cores. */
export async function camerasRow(settings: Settings): Promise<Row> {
  const { folder, broker, rounds, seconds, say } = settings;
  const threads = availableParallelism();
  const camera = replayCamera(join(folder, 'frames.y4m'));
  const one = writeConfig(settings, 'one', { threads, cameras: { a: camera } });
  const four = writeConfig(settings, 'four', {
    threads,
    cameras: { a: camera, b: camera, c: camera, d: camera },
  });
  const ratios: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const before = await framesPerSecond(broker, one, seconds / 2);
    const together = await framesPerSecond(broker, four, seconds);
    const after = await framesPerSecond(broker, one, seconds / 2);
    ratios.push(together / ((before + after) / 2));
    const shown = [before, after].map((fps) => fps.toFixed(1)).join(' and ');
    say(`cameras, ${round}/${rounds}: four ${together.toFixed(1)} fps, one ${shown} fps`);
  }
  return {
    what: 'four cameras ÷ one camera, total fps, all cores',
    measured: ratios,
    limit: { atLeast: 0.95 },
    digits: 3,
  };
}
