/**
 * A thread that runs one model, named in its first message. It takes slots whose input is ready, runs the model and
 * returns them. When no slot is ready, it sleeps until the next message. It ends when the vision worker closes the port
 * between them.
 */
import { parentPort } from 'node:worker_threads';
import { LookoutError, messageOf } from '../errors.ts';
import { scheduleGc } from '../runtime/garbage.ts';
import { finishWarmUp } from '../runtime/worker-thread.ts';
import { ModelSession } from './inference-session.ts';
import { Slots } from './input-slots.ts';
import type { FromInference, InferenceWorkerData } from './thread-messages.ts';

/** Time limit of a turn without the event loop, which must close the port and collect garbage. */
const LONGEST_TURN_MS = 100;

finishWarmUp();

parentPort!.once('message', (request: InferenceWorkerData) => {
  const { file, exactFile, description, config } = request;
  try {
    serve(ModelSession.open(file, description, config, exactFile), request);
  } catch (error) {
    const { code, hint } =
      error instanceof LookoutError ? error : { code: 'INTERNAL' as const, hint: undefined };
    post({ type: 'failed', code, message: messageOf(error), hint });
    request.port.close();
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
  post({ type: 'ready', info: session.info });
  scheduleGc();
}

function post(message: FromInference): void {
  parentPort!.postMessage(message);
}
