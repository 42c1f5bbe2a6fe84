/**
 * Reads the configuration and the models in a thread that ends when it is done: the parts that check them (YAML, the
 * schema, the ONNX reader) would otherwise stay in memory, some 25 MB, for as long as Lookout runs.
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
import { cameraModels, type Resolved } from './resolved.ts';

/** How long the thread waits for more to do: `prepare` follows `load` at once. */
const LINGER_MS = 500;

const THREAD = './resolve-thread';
const NAMED = { name: 'resolve' };

/** Has the thread load its modules while it is not known yet what to read. */
export function warmUpResolver(): void {
  warmUp(import.meta.url, THREAD, NAMED);
}

interface Thread {
  worker: Worker;
  caller: RpcClient<ResolveApi>;
}

export class ConfigResolver {
  readonly #clock: Clock;
  #thread: Thread | null = null;
  #calls = 0;
  #cancelEnd = () => {};

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** As `loadConfig` does. */
  async load(options: LoadOptions): Promise<LoadedConfig> {
    // The thread does not know whether the current folder is there.
    const here = options.file === undefined ? { baseDir: process.cwd() } : { file: resolve(options.file) };
    const loaded = await this.#call((thread) => thread.call('load', [{ ...options, ...here }]));
    return { ...loaded, config: deepFreeze(loaded.config) };
  }

  /** As `prepare` does. */
  async resolve({ config, baseDir }: Pick<LoadedConfig, 'config' | 'baseDir'>): Promise<Resolved> {
    const found = await this.#call((thread) => thread.call('resolve', [{ config, baseDir }]));
    const models = new Map(
      found.map(([name, { table, ...model }]) => [name, { ...model, compiled: compileTable(table) }]),
    );
    const cameras = Object.entries(config.cameras).map(
      ([name, camera]) => [name, { config: camera, models: cameraModels(models, name, camera) }] as const,
    );
    return { models, cameras: new Map(cameras) };
  }

  async #call<T>(work: (caller: RpcClient<ResolveApi>) => Promise<T>): Promise<T> {
    this.#cancelEnd();
    this.#thread ??= this.#start();
    const { worker, caller } = this.#thread;
    this.#calls++;
    worker.ref();
    try {
      return await work(caller);
    } finally {
      if (--this.#calls === 0) {
        worker.unref();
        this.#cancelEnd = this.#clock.after(LINGER_MS, () => this.#end());
      }
    }
  }

  #start(): Thread {
    const worker = startWorker(import.meta.url, THREAD, NAMED);
    const caller = new RpcClient<ResolveApi>((message) => worker.postMessage(message));
    const thread = { worker, caller };
    worker.on('message', (message: unknown) => caller.receive(message));
    const gone = (cause?: unknown) => {
      caller.close(new LookoutError('INTERNAL', 'the thread that reads the configuration ended', { cause }));
      if (this.#thread === thread) this.#thread = null;
    };
    worker.once('error', gone);
    worker.once('exit', () => gone());
    return thread;
  }

  #end(): void {
    const thread = this.#thread;
    this.#thread = null;
    // It ends before it can answer.
    thread?.caller.call('close', []).catch(() => {});
  }
}
