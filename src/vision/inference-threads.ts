/** A vision worker and its inference workers: they start together, talk to each other, and end together. */
import { MessageChannel, type MessagePort, type Transferable, type Worker } from 'node:worker_threads';
import { LookoutError } from '../errors.ts';
import { startWorker, warmUp } from '../runtime/worker-thread.ts';
import type { SessionInfo } from './inference-session.ts';
import { Slots } from './input-slots.ts';
import type {
  FromInference,
  FromVision,
  InferenceWorkerData,
  LaneData,
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

/** Has a thread load ONNX Runtime while it is not known yet which model runs there. */
export function warmUpInference(): void {
  warmUp(import.meta.url, INFERENCE, NAMED);
}

/** The threads that run one model, one for each of its sessions, for the vision worker that is given their lane. */
export class InferenceThreads {
  readonly lane: LaneData;
  /** Resolves when the model is ready; rejects with what kept it from that. */
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
    this.lane = { key, model: description, slots, ports: threads.map(({ port }) => port) };
    this.ready = Promise.all(threads.map(({ ready }) => ready)).then(([info]) => info!);
    this.ended = Promise.all(threads.map(({ ended }) => ended)).then(
      (errors) => errors.find(Boolean) ?? null,
    );
  }

  /** Lets the process end without them. They end by themselves when they are back from ONNX Runtime, if ever. */
  abandon(): void {
    for (const thread of this.#threads) thread.abandon();
  }

  /** Ends the threads if no vision worker has their lane. */
  discard(): void {
    for (const port of this.lane.ports) port.close();
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
    const order: InferenceWorkerData = { ...model, slots, session, port: port2 };
    const worker = startWorker(import.meta.url, INFERENCE, NAMED);
    worker.postMessage(order, [port2]);
    this.#worker = worker;
    let refusal: LookoutError | null = null;
    this.ended = endOf(worker).then((error) => error ?? refusal);
    this.ready = new Promise((resolve, reject) => {
      worker.on('message', (message: FromInference) => {
        if (message.type === 'ready') resolve(message.info);
        else refusal = new LookoutError(message.code, message.message, { hint: message.hint });
      });
      void this.ended.then((error) => reject(error ?? new Error('stopped before the model was ready')));
    });
  }

  abandon(): void {
    this.#worker.unref();
  }
}

/**
 * Loads models for `Threads.use`, side by side.
 * @throws LookoutError MODEL_* when one of them cannot run here; none is left then
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
  /** Resolves when all models are ready; rejects with what kept them from that. */
  readonly ready: Promise<Map<string, SessionInfo>>;
  /** Resolves when all threads have ended, with the error that ended them, or null after `stop`. */
  readonly ended: Promise<unknown>;
  readonly #vision: Worker;
  /** All but those that have ended well, as released ones do. */
  readonly #inference = new Set<InferenceThreads>();
  #stopping = false;

  constructor({ models, uses, cameras, onAnalysis }: ThreadsOptions) {
    const inference = models.map((model) => new InferenceThreads(model));
    for (const thread of inference) this.#add(thread);
    const lanes = inference.map(({ lane }) => lane);
    const workerData: VisionWorkerData = { cameras, lanes, uses };
    this.#vision = startWorker(import.meta.url, './vision-thread', {
      workerData,
      transferList: lanes.flatMap(({ ports }) => ports),
    });
    this.#vision.on('message', onAnalysis);
    this.ended = endOf(this.#vision).then(async (own) => {
      const errors = await Promise.all([...this.#inference].map(({ ended }) => ended));
      const error = errors.find(Boolean) ?? own;
      return error ?? (this.#stopping ? null : new Error('a vision thread ended by itself'));
    });
    this.ready = new Promise((resolve, reject) => {
      Promise.all(inference.map(async ({ lane, ready }) => [lane.key, await ready] as const)).then(
        (infos) => resolve(new Map(infos)),
        // Its end takes the others along.
        () => {},
      );
      void this.ended.then((error) => reject(error ?? new Error('stopped before the model was ready')));
    });
  }

  post(message: ToVision, transfer: Transferable[] = []): void {
    this.#vision.postMessage(message, transfer);
  }

  /** Adds loaded models and says which look at what from the next frame on; the others are released. */
  use(added: readonly InferenceThreads[], uses: Record<string, ModelUse>): void {
    for (const thread of added) this.#add(thread);
    const lanes = added.map(({ lane }) => lane);
    this.post(
      { type: 'models', lanes, uses },
      lanes.flatMap(({ ports }) => ports),
    );
  }

  /** Lets the threads finish the frames they have; resolves when all have ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.post({ type: 'stop' });
    await this.ended;
  }

  /**
   * Gives up threads of which one hangs. The vision worker runs nothing but this program's code and can be ended;
   * a thread inside of ONNX Runtime cannot without taking the process along, so it is left alone.
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
