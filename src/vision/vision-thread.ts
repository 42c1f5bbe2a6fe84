/** The vision thread: connects the pipeline to main and to the inference workers. */
import { parentPort, workerData } from 'node:worker_threads';
import { scheduleGc } from '../runtime/garbage.ts';
import type { Scores } from '../types.ts';
import { Slots } from './input-slots.ts';
import { type InferenceLane, Pipeline } from './pipeline.ts';
import { attend, Sessions } from './sessions.ts';
import type { LaneData, ToVision, VisionWorkerData } from './thread-messages.ts';

const { cameras, lanes, uses } = workerData as VisionWorkerData;
const main = parentPort!;
/** Those of all models in use. */
const open = new Set<Sessions>();
let stopping = false;

const pipeline = new Pipeline({
  cameras,
  lanes: lanes.map(connect),
  uses,
  report: (analysis) => main.postMessage(analysis, [analysis.data, ...analysis.scores.map(bufferOf)]),
});

scheduleGc();
main.on('message', (message: ToVision) => {
  attend(open, () => take(message));
  endWhenIdle();
});

function take(message: ToVision): void {
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
      pipeline.setModels(message.lanes.map(connect), message.uses);
      break;
    case 'stop':
      stopping = true;
  }
}

function connect({ key, model, slots: memory, ports }: LaneData): InferenceLane {
  const slots = new Slots(model, ports.length, memory);
  const sessions = new Sessions({
    queue: slots.queue,
    ports,
    onAnswer: (slot) => pipeline.answered(lane, slot),
    onWake: () => {
      attend(open, () => {});
      endWhenIdle();
    },
    // Without one of the inference workers there is nothing to do; whoever started them will start all anew.
    onEnd: end,
  });
  open.add(sessions);
  const lane: InferenceLane = {
    ...{ key, model, slots },
    infer: (slot) => sessions.infer(slot),
    close: () => {
      open.delete(sessions);
      sessions.close();
    },
  };
  return lane;
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
