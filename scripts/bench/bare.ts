/** The mark that the pipeline is held against: nothing but `session.run()` in a loop, in a thread of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import { openSession, Tensor } from '../../src/model/onnxruntime.ts';

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

parentPort?.on('message', async (milliseconds: number) => {
  if (milliseconds === 0) {
    await session.release();
    parentPort?.close();
    return;
  }
  const start = performance.now();
  let runs = 0;
  while (performance.now() - start < milliseconds) {
    await session.run(feeds);
    runs++;
  }
  parentPort?.postMessage((1000 * runs) / (performance.now() - start));
});
parentPort?.postMessage('ready');
