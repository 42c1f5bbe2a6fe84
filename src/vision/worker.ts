/** The vision thread: connects the pipeline to main and to the inference worker. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ToVision, VisionWorkerData } from './messages.ts';
import { Pipeline } from './pipeline.ts';
import { Slots } from './slots.ts';

const { cameras, model, slots, port } = workerData as VisionWorkerData;
const main = parentPort!;
let stopping = false;

const pipeline = new Pipeline({
  cameras,
  model,
  slots: new Slots(model, slots),
  infer: (slot) => port.postMessage(slot),
  report: (analysis) => main.postMessage(analysis, [analysis.data]),
});

main.on('message', (message: ToVision) => {
  switch (message.type) {
    case 'frame':
      pipeline.frame(message);
      break;
    case 'detect':
      pipeline.setDetect(message.camera, message.on);
      break;
    case 'open':
      pipeline.setOpen(message.camera, message.regions);
      break;
    case 'snapshot':
      pipeline.wantSnapshot(message.camera);
      break;
    case 'stop':
      stopping = true;
  }
  endWhenIdle();
});

port.on('message', (slot: number) => {
  pipeline.answered(slot);
  endWhenIdle();
});
// Without the inference worker there is nothing to do; whoever started both will start both anew.
port.on('close', () => main.close());

function endWhenIdle(): void {
  if (!stopping || !pipeline.idle) return;
  port.close();
  main.close();
}
