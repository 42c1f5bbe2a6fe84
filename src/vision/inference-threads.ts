/** A vision worker and its inference workers, which start and end together. */
import { MessageChannel, type MessagePort, type Transferable, type Worker } from 'node:worker_threads';
import { LookoutError } from '../errors.ts';
import { startWorker, warmUp } from '../runtime/worker-thread.ts';
import type { SessionInfo } from './inference-session.ts';
import { Slots } from './input-slots.ts';
import type {
  FromInference,
  FromVision,
  InferenceWorkerData,
  ModelQueueData,
  ModelUse,
  ToVision,
  VisionModel,
  VisionWorkerData,
  WatchedCamera,
} from './thread-messages.ts';

export interface ThreadsOptions {
  models: readonly VisionModel[];
  uses: Record<string, ModelUse>;
  cameras: Record<string, WatchedCamera>;
  onAnalysis: (analysis: FromVision) => void;
}

const INFERENCE = './inference-thread';
const NAMED = { name: 'inference' };

/** Starts a thread that loads ONNX Runtime before it is known which model it runs. */
export function warmUpInference(): void {
  warmUp(import.meta.url, INFERENCE, NAMED);
}

/** The threads that run one model, one for each session. A vision worker gets their queue. */
export class InferenceThreads {
  readonly queue: ModelQueueData;
  /** Resolves when the model is ready; rejects with the cause if it cannot be loaded. */
  readonly ready: Promise<SessionInfo>;
  /** Resolves when all threads have ended, with the error that ended one of them, or null. */
  readonly ended: Promise<unknown>;
  readonly #threads: readonly InferenceThread[];

  constructor(model: VisionModel) {
    const { key, description, config } = model;
    const slots = new Slots(description, config.sessions).memory;
    const threads = Array.from(
      { length: config.sessions },
      (_, session) => new InferenceThread(model, slots, session),
    );
    this.#threads = threads;
    this.queue = { key, model: description, slots, ports: threads.map(({ port }) => port) };
    this.ready = Promise.all(threads.map(({ ready }) => ready)).then(([info]) => info!);
    this.ended = Promise.all(threads.map(({ ended }) => ended)).then(
      (errors) => errors.find(Boolean) ?? null,
    );
  }

  /** Lets the process end without these threads. They end when ONNX Runtime returns, if ever. */
  abandon(): void {
    for (const thread of this.#threads) thread.abandon();
  }

  /** Ends the threads if no vision worker has their queue. */
  discard(): void {
    for (const port of this.queue.ports) port.close();
  }
}

class InferenceThread {
  /** The vision worker's end. */
  readonly port: MessagePort;
  readonly ready: Promise<SessionInfo>;
  readonly ended: Promise<unknown>;
  readonly #worker: Worker;

  constructor(
    { file, exactFile, description, config }: VisionModel,
    slots: SharedArrayBuffer,
    session: number,
  ) {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    const model = { file, exactFile, description, config };
    const request: InferenceWorkerData = { ...model, slots, session, port: port2 };
    const worker = startWorker(import.meta.url, INFERENCE, NAMED);
    worker.postMessage(request, [port2]);
    this.#worker = worker;
    let failure: LookoutError | null = null;
    this.ended = endOf(worker).then((error) => error ?? failure);
    this.ready = new Promise((resolve, reject) => {
      worker.on('message', (message: FromInference) => {
        if (message.type === 'ready') resolve(message.info);
        else failure = new LookoutError(message.code, message.message, { hint: message.hint });
      });
      void this.ended.then((error) =>
        reject(error ?? new Error('the thread stopped before the model was ready')),
      );
    });
  }

  abandon(): void {
    this.#worker.unref();
  }
}

/**
 * Loads models for `Threads.use`, in parallel.
 * @throws LookoutError MODEL_* when one of them cannot run here; all of them are discarded then
 */
export async function loadModels(models: readonly VisionModel[]): Promise<InferenceThreads[]> {
  const threads = models.map((model) => new InferenceThreads(model));
  try {
    await Promise.all(threads.map(({ ready }) => ready));
    return threads;
  } catch (error) {
    for (const thread of threads) thread.discard();
    throw error;
  }
}

export class Threads {
  /** Resolves when all models are ready; rejects with the cause if one cannot be loaded. */
  readonly ready: Promise<Map<string, SessionInfo>>;
  /** Resolves when all threads have ended, with the error that ended them, or null after `stop`. */
  readonly ended: Promise<unknown>;
  readonly #vision: Worker;
  /** All except those that have ended without an error, as released ones do. */
  readonly #inference = new Set<InferenceThreads>();
  #stopping = false;

  constructor({ models, uses, cameras, onAnalysis }: ThreadsOptions) {
    const inference = models.map((model) => new InferenceThreads(model));
    for (const thread of inference) this.#add(thread);
    const queues = inference.map(({ queue }) => queue);
    const workerData: VisionWorkerData = { cameras, queues, uses };
    this.#vision = startWorker(import.meta.url, './vision-thread', {
      workerData,
      transferList: queues.flatMap(({ ports }) => ports),
    });
    this.#vision.on('message', onAnalysis);
    this.ended = endOf(this.#vision).then(async (own) => {
      const errors = await Promise.all([...this.#inference].map(({ ended }) => ended));
      const error = errors.find(Boolean) ?? own;
      return error ?? (this.#stopping ? null : new Error('a vision thread ended unexpectedly'));
    });
    this.ready = new Promise((resolve, reject) => {
      Promise.all(inference.map(async ({ queue, ready }) => [queue.key, await ready] as const)).then(
        (infos) => resolve(new Map(infos)),
        // The end of one thread ends the others: `ended` reports it.
        () => {},
      );
      void this.ended.then((error) =>
        reject(error ?? new Error('the thread stopped before the model was ready')),
      );
    });
  }

  post(message: ToVision, transfer: Transferable[] = []): void {
    this.#vision.postMessage(message, transfer);
  }

  /** Adds loaded models and sets which model analyses what from the next frame on; unused models are released. */
  use(added: readonly InferenceThreads[], uses: Record<string, ModelUse>): void {
    for (const thread of added) this.#add(thread);
    const queues = added.map(({ queue }) => queue);
    this.post(
      { type: 'models', queues, uses },
      queues.flatMap(({ ports }) => ports),
    );
  }

  /** Lets the threads finish the frames in flight; resolves when all threads have ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.post({ type: 'stop' });
    await this.ended;
  }

  /**
   * Abandons threads one of which hangs. The vision worker runs only this program's code and can be terminated.
   * Terminating a thread inside ONNX Runtime would end the process, so it is left running.
   */
  abandon(): void {
    this.#stopping = true;
    this.#vision.removeAllListeners('message');
    void this.#vision.terminate();
    for (const thread of this.#inference) thread.abandon();
  }

  #add(thread: InferenceThreads): void {
    this.#inference.add(thread);
    void thread.ended.then((error) => {
      if (!error) this.#inference.delete(thread);
    });
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
