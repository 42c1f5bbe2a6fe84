/** The vision thread: connects the pipeline to main and to the inference workers. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { keepTidy } from '../platform/memory.ts';
import type { Scores } from '../types.ts';
import type { LaneData, ToVision, VisionWorkerData } from './messages.ts';
import { type Lane, Pipeline } from './pipeline.ts';
import { Slots } from './slots.ts';

const { cameras, lanes, uses } = workerData as VisionWorkerData;
const main = parentPort!;
/** To the inference workers. */
const ports = new Set<MessagePort>();
let stopping = false;

const pipeline = new Pipeline({
  cameras,
  lanes: lanes.map(connect),
  uses,
  report: (analysis) => main.postMessage(analysis, [analysis.data, ...analysis.scores.map(bufferOf)]),
});

keepTidy();
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
    case 'models':
      pipeline.setModels(message.lanes.map(connect), message.uses);
      break;
    case 'stop':
      stopping = true;
  }
  endWhenIdle();
});

function connect({ key, model, slots, ports: sessions }: LaneData): Lane {
  const busy = sessions.map(() => 0);
  const lane: Lane = {
    key,
    model,
    slots: new Slots(model, sessions.length, slots),
    infer: (slot) => {
      const idlest = busy.indexOf(Math.min(...busy));
      busy[idlest]!++;
      sessions[idlest]!.postMessage(slot);
    },
    close: () => {
      for (const port of sessions) {
        ports.delete(port);
        port.close();
      }
    },
  };
  for (const [session, port] of sessions.entries()) {
    ports.add(port);
    port.on('message', (slot: number) => {
      busy[session]!--;
      pipeline.answered(lane, slot);
      endWhenIdle();
    });
    // Without one of the inference workers there is nothing to do; whoever started them will start all anew.
    port.on('close', () => {
      if (ports.has(port)) end();
    });
  }
  return lane;
}

function bufferOf({ probabilities }: Scores): ArrayBuffer {
  return probabilities.buffer;
}

function endWhenIdle(): void {
  if (stopping && pipeline.idle) end();
}

function end(): void {
  for (const port of ports) port.close();
  ports.clear();
  main.close();
}
