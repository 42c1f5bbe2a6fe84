/**
 * The work of the vision thread, strictly in frame order:
 *
 *   frame ─▶ motion ─▶ gate ─┬─ no region ───────────────────────────────────▶ analysis
 *                            └─ regions ─▶ resize into a free slot ─▶ model ─▶ analysis
 *
 * While the model runs on one slot, the next one is filled. Each model has its own slots; all models get the same frame.
 */
import type { ModelDescription } from '../model/description.ts';
import { PixelMemory } from '../pixels/kernels.ts';
import { type Orientation, orientationOf } from '../pixels/orientation.ts';
import { Resizer } from '../pixels/resize.ts';
import type { Region } from '../types.ts';
import { Gatekeeper, type Verdict } from './gate.ts';
import type { Slots } from './input-slots.ts';
import { MotionDetector } from './motion.ts';
import { toProbabilities } from './probabilities.ts';
import type { FrameMessage, FromVision, ModelUse, WatchedCamera } from './thread-messages.ts';

/** One camera: its orientation, its background and its gate. */
class CameraState {
  readonly orientation: Orientation;
  readonly motion: MotionDetector;
  readonly gatekeeper: Gatekeeper;
  detect: boolean;

  constructor(config: WatchedCamera) {
    this.orientation = orientationOf(config);
    this.motion = new MotionDetector(config.motion, this.orientation);
    this.gatekeeper = new Gatekeeper(config);
    this.detect = config.detect;
  }
}

/** A model with the queue of its inputs. */
export interface ModelQueue {
  key: string;
  model: ModelDescription;
  slots: Slots;
  /** Runs the model on a slot. */
  infer: (slot: number) => void;
  close: () => void;
}

/** A model in use, or a retired one whose last results are pending. */
class ActiveModel {
  readonly queue: ModelQueue;
  readonly resizer: Resizer;
  readonly free: number[];
  /** The inputs in flight, by slot. */
  readonly running: ({ job: Job; region: Region } | null)[] = [];
  /** Regions without a result yet. */
  pending = 0;
  retired = false;

  constructor(queue: ModelQueue, memory: PixelMemory) {
    this.queue = queue;
    this.resizer = new Resizer(memory, queue.model.input);
    this.free = queue.slots.inputs.map((_, slot) => slot);
  }
}

/** A frame whose analysis is not complete. */
interface Job {
  frame: FrameMessage;
  camera: CameraState;
  analysis: FromVision;
  /** The regions to analyse; the first `started` of them are, or were, in slots. */
  regions: { region: Region; to: ActiveModel }[];
  started: number;
}

export interface PipelineOptions {
  cameras: Record<string, WatchedCamera>;
  queues: readonly ModelQueue[];
  uses: Record<string, ModelUse>;
  /** Receives the analyses, in the order of their frames. */
  report: (analysis: FromVision) => void;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #memory = new PixelMemory();
  readonly #cameras: Map<string, CameraState>;
  /** Models in use by their key, and by queue also the retired ones whose last results are pending. */
  readonly #models = new Map<string, ActiveModel>();
  readonly #byQueue = new Map<ModelQueue, ActiveModel>();
  #uses: Record<string, ModelUse> = {};
  readonly #waiting: FrameMessage[] = [];
  /** The frame in the pixel memory, until all its regions are in slots. */
  #current: Job | null = null;
  /** Frames whose analysis has started but is not reported, oldest first. */
  readonly #jobs: Job[] = [];

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#cameras = new Map(
      Object.entries(options.cameras).map(([name, config]) => [name, new CameraState(config)]),
    );
    this.setModels(options.queues, options.uses);
  }

  /** Whether nothing is in flight. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#jobs.length === 0;
  }

  frame(frame: FrameMessage): void {
    this.#waiting.push(frame);
    this.#advance();
  }

  setDetect(camera: string, on: boolean): void {
    this.#cameras.get(camera)!.detect = on;
  }

  setOpen(camera: string, regions: readonly Region[]): void {
    this.#cameras.get(camera)!.gatekeeper.setOpen(regions);
  }

  /**
   * Adds models and sets which model analyses what from the next frame on. A model that is no longer used is closed after
   * its results for earlier frames.
   */
  setModels(added: readonly ModelQueue[], uses: Record<string, ModelUse>): void {
    for (const queue of added) {
      const active = new ActiveModel(queue, this.#memory);
      this.#models.set(queue.key, active);
      this.#byQueue.set(queue, active);
    }
    this.#uses = uses;
    const used = new Set(
      Object.values(uses).flatMap(({ camera, zones }) => [camera, ...Object.values(zones)]),
    );
    for (const [key, active] of this.#models) {
      if (used.has(key)) continue;
      this.#models.delete(key);
      active.retired = true;
      this.#closeWhenDone(active);
    }
  }

  /** Reads the result of a model from one of its slots. */
  answered(queue: ModelQueue, slot: number): void {
    const active = this.#byQueue.get(queue)!;
    const { job, region } = active.running[slot]!;
    const { key, slots, model } = queue;
    const probabilities = toProbabilities(slots.outputs[slot]!, model.output.kind);
    active.running[slot] = null;
    job.analysis.scores.push({ region, model: key, probabilities });
    job.analysis.times.inference += slots.times[slot]!;
    active.free.push(slot);
    active.pending--;
    this.#advance();
    this.#closeWhenDone(active);
  }

  /** Analyses frames, fills slots and reports, as far as possible. */
  #advance(): void {
    for (;;) {
      if (!this.#current) {
        const frame = this.#waiting.shift();
        if (!frame) break;
        this.#current = this.#begin(frame);
        this.#jobs.push(this.#current);
      }
      const job = this.#current;
      while ((job.regions[job.started]?.to.free.length ?? 0) > 0) this.#start(job);
      if (job.started < job.regions.length) break;
      this.#current = null;
    }
    for (let job = this.#jobs[0]; job && isComplete(job); job = this.#jobs[0]) {
      this.#jobs.shift();
      this.#options.report(job.analysis);
    }
  }

  /** Copies a frame into the pixel memory and decides which regions to analyse. */
  #begin(frame: FrameMessage): Job {
    const { id, camera, format, monotonic, data } = frame;
    const began = performance.now();
    const state = this.#cameras.get(camera)!;
    let motion = 0;
    let verdict: Verdict = { gate: 'off', regions: [] };
    if (state.detect) {
      this.#memory.bytes(data.byteLength).set(new Uint8Array(data));
      const seen = state.motion.detect(this.#memory, format, monotonic);
      motion = seen.share;
      verdict = state.gatekeeper.judge(seen, monotonic);
    }
    const times = { motion: performance.now() - began, resize: 0, inference: 0 };
    const analysis = { id, gate: verdict.gate, motion, scores: [], times, data };
    const regions = verdict.regions.map((region) => ({ region, to: this.#modelOf(camera, region) }));
    for (const { to } of regions) to.pending++;
    return { frame, camera: state, analysis, regions, started: 0 };
  }

  /** Resizes the next region of the frame in the pixel memory into a free slot and starts the model on it. */
  #start(job: Job): void {
    const began = performance.now();
    const { region, to } = job.regions[job.started++]!;
    const slot = to.free.pop()!;
    to.running[slot] = { job, region };
    const input = to.queue.slots.inputs[slot]!;
    to.resizer.resize(job.frame.format, region.box, job.camera.orientation, input);
    job.analysis.times.resize += performance.now() - began;
    to.queue.infer(slot);
  }

  #closeWhenDone(active: ActiveModel): void {
    if (!active.retired || active.pending > 0) return;
    this.#byQueue.delete(active.queue);
    active.queue.close();
  }

  #modelOf(camera: string, { zone }: Region): ActiveModel {
    const use = this.#uses[camera]!;
    const key = (zone === null ? undefined : use.zones[zone]) ?? use.camera;
    return this.#models.get(key)!;
  }
}

function isComplete({ regions, analysis }: Job): boolean {
  return analysis.scores.length === regions.length;
}
