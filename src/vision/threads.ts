/** A vision worker and its inference worker: they start together, talk to each other, and end together. */
import { MessageChannel, type MessagePort, type Transferable, type Worker } from 'node:worker_threads';
import { LookoutError } from '../errors.ts';
import type { ModelDescription } from '../model/description.ts';
import { startWorker } from '../platform/worker.ts';
import type {
  FromInference,
  FromVision,
  InferenceWorkerData,
  ToVision,
  VisionWorkerData,
  WatchedCamera,
} from './messages.ts';
import type { SessionConfig, SessionInfo } from './session.ts';
import { Slots } from './slots.ts';

export interface ThreadsOptions {
  /** Absolute path of the .onnx file. */
  file: string;
  model: ModelDescription;
  config: SessionConfig;
  cameras: Record<string, WatchedCamera>;
  onAnalysis: (analysis: FromVision) => void;
}

export class Threads {
  /** Resolves when the model is ready; rejects with what kept it from that. */
  readonly ready: Promise<SessionInfo>;
  /** Resolves when both threads have ended, with the error that ended them, or null after `stop`. */
  readonly ended: Promise<unknown>;
  readonly #vision: Worker;
  #stopping = false;

  constructor({ file, model, config, cameras, onAnalysis }: ThreadsOptions) {
    const { port1, port2 } = new MessageChannel();
    const slots = new Slots(model).memory;
    const visionData: VisionWorkerData = { cameras, model, slots, port: port1 };
    const inferenceData: InferenceWorkerData = { file, model, config, slots, port: port2 };
    const start = (path: string, workerData: object, port: MessagePort) =>
      startWorker(import.meta.url, path, { workerData, transferList: [port] });
    this.#vision = start('./worker', visionData, port1);
    const inference = start('./inference-worker', inferenceData, port2);

    this.#vision.on('message', onAnalysis);
    let refusal: LookoutError | null = null;
    this.ended = Promise.all([endOf(inference), endOf(this.#vision)]).then((errors) => {
      const error = errors.find(Boolean) ?? refusal;
      return error ?? (this.#stopping ? null : new Error('a vision thread ended by itself'));
    });
    this.ready = new Promise((resolve, reject) => {
      inference.on('message', (message: FromInference) => {
        if (message.type === 'ready') resolve(message.info);
        else refusal = new LookoutError(message.code, message.message, { hint: message.hint });
      });
      void this.ended.then((error) => reject(error ?? new Error('stopped before the model was ready')));
    });
  }

  post(message: ToVision, transfer: Transferable[] = []): void {
    this.#vision.postMessage(message, transfer);
  }

  /** Lets the threads finish the frames they have; resolves when both have ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.post({ type: 'stop' });
    await this.ended;
  }
}

/** Resolves when a worker has ended, with the error that ended it or null. */
function endOf(worker: Worker): Promise<unknown> {
  return new Promise((resolve) => {
    let error: unknown = null;
    worker.on('error', (thrown) => {
      error = thrown;
    });
    worker.on('exit', () => resolve(error));
  });
}
