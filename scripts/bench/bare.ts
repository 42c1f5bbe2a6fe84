/** The mark that the pipeline is held against: nothing but `session.run()` in a loop, in a thread of its own. */
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { openSession, Tensor } from '../../src/model/onnxruntime.ts';

/** Run for so long, 0 to end; and a pause between the starts of two inferences, 0 for none. */
export interface Ask {
  milliseconds: number;
  everyMs: number;
}

/** What came of it; `cpuMs` is the processor time that this thread took for one inference. */
export interface Told {
  fps: number;
  cpuMs: number;
}

const { file, threads } = workerData as { file: string; threads: number };
const session = await openSession(file, {
  exact: 'auto',
  spinning: false,
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
});
const input = session.inputMetadata[0];
if (!input?.isTensor) throw new Error('the model has no tensor input');
const shape = input.shape.map(Number);
const size = shape.reduce((product, length) => product * length, 1);
const data = new Uint8Array(size).map((_, i) => (i * 7919) % 256);
const feeds = { [input.name]: new Tensor('uint8', data, shape) };
for (let i = 0; i < 20; i++) await session.run(feeds);

parentPort?.on('message', async ({ milliseconds, everyMs }: Ask) => {
  if (milliseconds === 0) {
    await session.release();
    parentPort?.close();
    return;
  }
  const start = performance.now();
  const before = process.threadCpuUsage();
  let runs = 0;
  while (performance.now() - start < milliseconds) {
    await session.run(feeds);
    runs++;
    if (everyMs > 0) await delay(Math.max(0, start + runs * everyMs - performance.now()));
  }
  const { user, system } = process.threadCpuUsage(before);
  const fps = (1000 * runs) / (performance.now() - start);
  parentPort?.postMessage({ fps, cpuMs: (user + system) / 1000 / runs } satisfies Told);
});
parentPort?.postMessage('ready');
