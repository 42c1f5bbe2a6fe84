import './no-telemetry.ts';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Threads here reuse their buffers and leave little garbage; V8 would still let each grow a nursery of 48 MB before
 * it looks for any.
 */
const LIMITS = { maxYoungGenerationSizeMb: 3 };

/**
 * Starts a worker thread from a module beside the caller's, whether it runs from source (`.ts`) or from the
 * build (`.js`).
 * @param base the caller's `import.meta.url`
 * @param path relative module path without its extension, such as `./worker`
 */
export function startWorker(base: string, path: string, options: WorkerOptions = {}): Worker {
  const extension = base.endsWith('.ts') ? '.ts' : '.js';
  return new Worker(new URL(path + extension, base), { resourceLimits: LIMITS, ...options });
}
