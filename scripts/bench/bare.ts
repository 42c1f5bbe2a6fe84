/** The mark that the pipeline is held against: nothing but `session.run()` in a loop, in a thread of its own. */
import '../../src/platform/no-telemetry.ts';
import { parentPort, workerData } from 'node:worker_threads';
import * as ort from 'onnxruntime-node';

ort.env.logLevel = 'fatal';

const { file, threads } = workerData as { file: string; threads: number };
const session = await ort.InferenceSession.create(file, {
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
});
const input = session.inputMetadata[0];
if (!input?.isTensor) throw new Error('the model has no tensor input');
const shape = input.shape.map(Number);
const size = shape.reduce((product, length) => product * length, 1);
const data = new Uint8Array(size).map((_, i) => (i * 7919) % 256);
const feeds = { [input.name]: new ort.Tensor('uint8', data, shape) };
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
