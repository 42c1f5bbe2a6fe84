/** The vision thread: connects the pipeline to main and to the inference workers. */
import { parentPort, workerData } from 'node:worker_threads';
import { scheduleGc } from '../runtime/garbage.ts';
import type { Scores } from '../types.ts';
import { Slots } from './input-slots.ts';
import { type ModelQueue, Pipeline } from './pipeline.ts';
import { attend, Sessions } from './sessions.ts';
import type { ModelQueueData, ToVision, VisionWorkerData } from './thread-messages.ts';

const { cameras, queues, uses } = workerData as VisionWorkerData;
const main = parentPort!;
/** The sessions of all models in use. */
const open = new Set<Sessions>();
let stopping = false;

const pipeline = new Pipeline({
  cameras,
  queues: queues.map(connect),
  uses,
  report: (analysis) => main.postMessage(analysis, [analysis.data, ...analysis.scores.map(bufferOf)]),
});

scheduleGc();
main.on('message', (message: ToVision) => {
  attend(open, () => handle(message));
  endWhenIdle();
});

function handle(message: ToVision): void {
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
    case 'models':
      pipeline.setModels(message.queues.map(connect), message.uses);
      break;
    case 'stop':
      stopping = true;
  }
}

function connect({ key, model, slots: memory, ports }: ModelQueueData): ModelQueue {
  const slots = new Slots(model, ports.length, memory);
  const sessions = new Sessions({
    queue: slots.queue,
    ports,
    onAnswer: (slot) => pipeline.answered(queue, slot),
    onWake: () => {
      attend(open, () => {});
      endWhenIdle();
    },
    // Without one of the inference workers the vision worker is useless; main restarts all of them.
    onEnd: end,
  });
  open.add(sessions);
  const queue: ModelQueue = {
    key,
    model,
    slots,
    infer: (slot) => sessions.infer(slot),
    close: () => {
      open.delete(sessions);
      sessions.close();
    },
  };
  return queue;
}

function bufferOf({ probabilities }: Scores): ArrayBuffer {
  return probabilities.buffer;
}

function endWhenIdle(): void {
  if (stopping && pipeline.idle) end();
}

function end(): void {
  for (const sessions of open) sessions.close();
  open.clear();
  main.close();
}
