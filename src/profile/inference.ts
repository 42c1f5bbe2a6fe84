/** Measures the model alone: the daemon's own inference threads, with the scenarios of MLPerf Inference. */
import type { ModelDescription } from '../model/description.ts';
import type { ResolvedModel } from '../setup/resolved.ts';
import type { SessionInfo } from '../vision/inference-session.ts';
import { InferenceThreads } from '../vision/inference-threads.ts';
import { Slots } from '../vision/input-slots.ts';
import { attend, Sessions } from '../vision/sessions.ts';
import type { Asked, Budget, InferenceAlone } from './profile-types.ts';
import { rates } from './recorder.ts';
import { MULTI_STREAM, type Scenario, SINGLE_STREAM } from './scenarios.ts';
import { batches, percentile } from './statistics.ts';

const WARM_UP = 10;
const BATCHES = 16;

/** Runs the model until each budget is used up. @throws LookoutError MODEL_* if it cannot run here */
export async function measureInference(
  model: ResolvedModel,
  { inferenceMs, multiStream }: Budget,
  signal: AbortSignal,
): Promise<{ info: SessionInfo; inference: InferenceAlone }> {
  const bench = new Bench(model);
  try {
    const info = await bench.ready;
    for (let run = 0; run < WARM_UP; run++) await bench.query(2);
    const singleStream = await stream(bench, SINGLE_STREAM, inferenceMs, signal);
    const multi = multiStream ? await stream(bench, MULTI_STREAM, inferenceMs, signal) : null;
    const began = process.cpuUsage();
    const { fps, runs } = await bench.saturate(inferenceMs / 2, signal);
    const { user, system } = process.cpuUsage(began);
    const cpuMs = (user + system) / 1000 / runs;
    return { info, inference: { fps, cpuMs, singleStream, multiStream: multi } };
  } finally {
    await bench.close();
  }
}

/** Runs one query after the other. */
async function stream(
  bench: Bench,
  scenario: Scenario,
  milliseconds: number,
  signal: AbortSignal,
): Promise<Asked> {
  const latencies: number[] = [];
  const end = performance.now() + milliseconds;
  while (latencies.length < scenario.queries && (latencies.length === 0 || performance.now() < end)) {
    signal.throwIfAborted();
    latencies.push(await bench.query(scenario.samples));
  }
  const least = Math.ceil(1 / (1 - scenario.percentile));
  return {
    samples: scenario.samples,
    latencies,
    tail: batches(latencies, BATCHES, least).map((batch) =>
      percentile(Float64Array.from(batch).sort(), scenario.percentile),
    ),
  };
}

/** The sessions of a model and their slots, without a vision thread. */
class Bench {
  readonly ready: Promise<SessionInfo>;
  readonly #threads: InferenceThreads;
  readonly #slots: Slots;
  readonly #sessions: Sessions;
  readonly #free: number[];
  #answered: () => void = () => {};

  constructor(model: ResolvedModel) {
    this.#threads = new InferenceThreads(model);
    const { queue, ready } = this.#threads;
    this.ready = ready;
    this.#slots = new Slots(model.description, queue.ports.length, queue.slots);
    for (const [slot, input] of this.#slots.inputs.entries()) fill(input, slot, model.description.input);
    this.#free = this.#slots.inputs.map((_, slot) => slot);
    this.#sessions = new Sessions({
      queue: this.#slots.queue,
      ports: queue.ports,
      onAnswer: (slot) => {
        this.#free.push(slot);
        this.#answered();
      },
      onWake: () => attend([this.#sessions], () => {}),
      onEnd: () => {},
    });
  }

  /** Runs a query of several samples, spread over all sessions. @returns milliseconds until the last is done */
  async query(samples: number): Promise<number> {
    const began = performance.now();
    let asked = 0;
    let left = samples;
    await new Promise<void>((resolve) => {
      const ask = () => {
        while (asked < samples && this.#ask()) asked++;
      };
      this.#answered = () => {
        if (--left === 0) resolve();
        else ask();
      };
      ask();
    });
    return performance.now() - began;
  }

  /** Keeps all sessions busy. @returns frames per second for each batch, and the number of frames */
  async saturate(milliseconds: number, signal: AbortSignal): Promise<{ fps: number[]; runs: number }> {
    const times = [performance.now()];
    const end = times[0]! + milliseconds;
    await new Promise<void>((resolve) => {
      this.#answered = () => {
        times.push(performance.now());
        if (times.at(-1)! < end && !signal.aborted) while (this.#ask()) {}
        else if (this.#free.length === this.#slots.inputs.length) resolve();
      };
      while (this.#ask()) {}
    });
    return { fps: rates(times), runs: times.length - 1 };
  }

  async close(): Promise<void> {
    this.#sessions.close();
    await this.#threads.ended;
  }

  /** Runs the model on a free slot. @returns whether there was one */
  #ask(): boolean {
    const slot = this.#free.pop();
    if (slot === undefined) return false;
    this.#sessions.infer(slot);
    return true;
  }
}

/** Fills the input with varying pixels: some processors multiply zeros faster. */
function fill(bytes: Uint8Array, seed: number, { type, mean, scale }: ModelDescription['input']): void {
  const pixel = (index: number) => ((index * 7919 + seed * 104_729) >>> 3) & 255;
  if (type !== 'float32') {
    for (let index = 0; index < bytes.length; index++) bytes[index] = pixel(index);
    return;
  }
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  for (let index = 0; index < floats.length; index++) floats[index] = (pixel(index) - mean[0]!) * scale[0]!;
}
