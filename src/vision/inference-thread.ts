/**
 * A thread that runs the model that it is told of first, and does nothing else: it takes slots whose input is ready, runs,
 * and gives them back, as long as there are any. Then it sleeps until a message comes. It ends when the vision worker closes
 * the port between them.
 */
import { parentPort } from 'node:worker_threads';
import { LookoutError, messageOf } from '../errors.ts';
import { scheduleGc } from '../runtime/garbage.ts';
import { ModelSession } from './inference-session.ts';
import { Slots } from './input-slots.ts';
import type { FromInference, InferenceWorkerData } from './thread-messages.ts';

/** After so long without a pause the event loop has its turn: it closes the port and collects garbage. */
const LONGEST_TURN_MS = 100;

parentPort!.once('message', (order: InferenceWorkerData) => {
  const { file, exactFile, description, config } = order;
  try {
    serve(ModelSession.open(file, description, config, exactFile), order);
  } catch (error) {
    const { code, hint } =
      error instanceof LookoutError ? error : { code: 'INTERNAL' as const, hint: undefined };
    tell({ type: 'failed', code, message: messageOf(error), hint });
    order.port.close();
  }
});

function serve(
  session: ModelSession,
  { description, config, slots: memory, session: number, port }: InferenceWorkerData,
): void {
  const slots = new Slots(description, config.sessions, memory);
  const runs = slots.inputs.map((input, slot) => session.bind(input, slots.outputs[slot]!));
  const { queue, times } = slots;
  let closed = false;
  const work = () => {
    const end = performance.now() + LONGEST_TURN_MS;
    for (let began = 0; !closed && began < end; ) {
      const slot = queue.take();
      if (slot < 0) {
        if (queue.sleep(number)) return;
        continue;
      }
      began = performance.now();
      runs[slot]!();
      times[slot] = performance.now() - began;
      if (queue.answer(slot)) port.postMessage(null);
    }
    if (!closed) setImmediate(work);
  };
  port.on('message', work);
  port.on('close', () => {
    closed = true;
    session.release();
  });
  work();
  tell({ type: 'ready', info: session.info });
  scheduleGc();
}

function tell(message: FromInference): void {
  parentPort!.postMessage(message);
}
