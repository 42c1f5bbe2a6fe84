/**
 * Reads the configuration and the models in a thread that ends when it is done: the modules that check them (YAML, the
 * schema, the ONNX reader) would otherwise occupy about 25 MB of memory for as long as Lookout runs.
 */
import { resolve } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { deepFreeze } from '../config/freeze.ts';
import type { LoadedConfig, LoadOptions } from '../config/load-config.ts';
import { compileTable } from '../decide/label-classes.ts';
import { LookoutError } from '../errors.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { RpcClient } from '../runtime/rpc.ts';
import { startWorker, warmUp } from '../runtime/worker-thread.ts';
import type { ResolveApi } from './resolve-thread.ts';
import { type Resolved, resolveCameras } from './resolved.ts';

/** How long the thread waits for the next call, in ms: `resolve` follows `load` immediately. */
const LINGER_MS = 500;

const THREAD = './resolve-thread';
const NAMED = { name: 'resolve' };

/** Starts the thread, so that it loads its modules before it is known what to read. */
export function warmUpResolver(): void {
  warmUp(import.meta.url, THREAD, NAMED);
}

interface Thread {
  worker: Worker;
  client: RpcClient<ResolveApi>;
}

export class ConfigResolver {
  readonly #clock: Clock;
  #thread: Thread | null = null;
  #calls = 0;
  #cancelEnd = () => {};

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Like `loadConfig`. */
  async load(options: LoadOptions): Promise<LoadedConfig> {
    // The thread cannot know whether the current folder still exists.
    const paths = options.file === undefined ? { baseDir: process.cwd() } : { file: resolve(options.file) };
    const loaded = await this.#call((thread) => thread.call('load', [{ ...options, ...paths }]));
    return { ...loaded, config: deepFreeze(loaded.config) };
  }

  /** Like `resolveConfig`. The cameras are resolved here: their labels hold functions, which no message can carry. */
  async resolve({ config, baseDir }: Pick<LoadedConfig, 'config' | 'baseDir'>): Promise<Resolved> {
    const found = await this.#call((thread) => thread.call('resolveModels', [{ config, baseDir }]));
    const models = new Map(
      found.map(([name, { table, ...model }]) => [name, { ...model, compiled: compileTable(table) }]),
    );
    return { models, cameras: resolveCameras(models, config.cameras) };
  }

  async #call<T>(work: (client: RpcClient<ResolveApi>) => Promise<T>): Promise<T> {
    this.#cancelEnd();
    this.#thread ??= this.#start();
    const { worker, client } = this.#thread;
    this.#calls++;
    worker.ref();
    try {
      return await work(client);
    } finally {
      if (--this.#calls === 0) {
        worker.unref();
        this.#cancelEnd = this.#clock.after(LINGER_MS, () => this.#end());
      }
    }
  }

  #start(): Thread {
    const worker = startWorker(import.meta.url, THREAD, NAMED);
    const client = new RpcClient<ResolveApi>((message) => worker.postMessage(message));
    const thread = { worker, client };
    worker.on('message', (message: unknown) => client.receive(message));
    const onEnd = (cause?: unknown) => {
      client.close(new LookoutError('INTERNAL', 'the thread that reads the configuration ended', { cause }));
      if (this.#thread === thread) this.#thread = null;
    };
    worker.once('error', onEnd);
    worker.once('exit', () => onEnd());
    return thread;
  }

  #end(): void {
    const thread = this.#thread;
    this.#thread = null;
    // The thread ends without an answer.
    thread?.client.call('close', []).catch(() => {});
  }
}
