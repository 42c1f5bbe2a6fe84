/**
 * The thread that runs the model and does nothing else: it takes slots whose input is ready, runs, and gives them
 * back. It ends when the vision worker closes the port between them.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { LookoutError, messageOf } from '../errors.ts';
import { keepTidy } from '../platform/memory.ts';
import type { FromInference, InferenceWorkerData } from './messages.ts';
import { ModelSession } from './session.ts';
import { Slots } from './slots.ts';

const { file, exactFile, description, config, slots: memory, port } = workerData as InferenceWorkerData;
const slots = new Slots(description, config.sessions, memory);

function tell(message: FromInference): void {
  parentPort!.postMessage(message);
}

function serve(session: ModelSession): void {
  const runs = slots.inputs.map((input, slot) => session.bind(input, slots.outputs[slot]!));
  port.on('message', (slot: number) => {
    const began = performance.now();
    runs[slot]!();
    slots.times[slot] = performance.now() - began;
    port.postMessage(slot);
  });
  port.on('close', () => session.release());
  tell({ type: 'ready', info: session.info });
  keepTidy();
}

try {
  serve(ModelSession.open(file, description, config, exactFile));
} catch (error) {
  const { code, hint } =
    error instanceof LookoutError ? error : { code: 'INTERNAL' as const, hint: undefined };
  tell({ type: 'failed', code, message: messageOf(error), hint });
  port.close();
}
