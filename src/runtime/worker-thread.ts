import './no-telemetry.ts';
import { MessageChannel, MessagePort, Worker, type WorkerOptions, workerData } from 'node:worker_threads';

/**
 * Threads here reuse their buffers and leave little garbage; V8 would still let each grow a nursery of 48 MB before
 * it looks for any.
 */
const LIMITS = { maxYoungGenerationSizeMb: 3 };

/** Threads that were started before anybody needs them, by their module. */
const ready = new Map<string, Worker>();

/**
 * Starts a worker thread from a module beside the caller's, whether it runs from source (`.ts`) or from the
 * build (`.js`).
 * @param base the caller's `import.meta.url`
 * @param path relative module path without its extension, such as `./worker`
 */
export function startWorker(base: string, path: string, options: WorkerOptions = {}): Worker {
  const url = urlOf(base, path);
  const worker = ready.get(url.href);
  if (!worker) return new Worker(url, { resourceLimits: LIMITS, ...options });
  ready.delete(url.href);
  worker.ref();
  return worker;
}

/**
 * Starts a thread ahead, so that its modules are loaded when `startWorker` asks for it; that call's options do not
 * count. Until then it keeps the process from ending only while it loads: see `finishWarmUp`.
 */
export function warmUp(base: string, path: string, options: Pick<WorkerOptions, 'name'> = {}): void {
  const url = urlOf(base, path);
  const { port1: whileLoading, port2 } = new MessageChannel();
  const worker = new Worker(url, {
    ...{ resourceLimits: LIMITS, ...options },
    workerData: port2,
    transferList: [port2],
  });
  worker.unref();
  // Listening keeps the process from ending until the thread closes the other port.
  whileLoading.on('message', () => {});
  ready.set(url.href, worker);
  // What keeps it from loading is said by the next one, to whoever asks for it.
  worker.on('error', () => {});
  worker.once('exit', () => {
    if (ready.get(url.href) === worker) ready.delete(url.href);
  });
}

/**
 * Called by the module of a thread that may be warmed up, when all its imports are loaded. Until then the process does
 * not end: ending a thread while it loads a native module aborts the process.
 */
export function finishWarmUp(): void {
  if (workerData instanceof MessagePort) workerData.close();
}

function urlOf(base: string, path: string): URL {
  return new URL(path + (base.endsWith('.ts') ? '.ts' : '.js'), base);
}
