/**
 * The work of the vision thread, strictly in the order of the frames:
 *
 *   frame ─▶ motion ─▶ gate ─┬─ nothing to see ──────────────────────────────▶ analysis
 *                            └─ regions ─▶ resize into a free slot ─▶ model ─▶ analysis
 *
 * While the model runs on one slot, the next is filled.
 */
import type { ModelDescription } from '../model/description.ts';
import type { Region } from '../types.ts';
import { Gatekeeper, type Verdict } from './gate.ts';
import { PixelMemory } from './kernels.ts';
import type { FrameMessage, FromVision, WatchedCamera } from './messages.ts';
import { MotionDetector } from './motion.ts';
import { toProbabilities } from './probabilities.ts';
import { Resizer } from './resize.ts';
import type { Slots } from './slots.ts';
import { type Orientation, orientationOf } from './transform.ts';

/** One camera: how its pictures lie, what its background looks like, and what of it is to be seen. */
class Watch {
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

/** A frame whose analysis is not complete. */
interface Job {
  frame: FrameMessage;
  watch: Watch;
  analysis: FromVision;
  /** What the model must look at; the first `started` of them are, or were, in slots. */
  regions: Region[];
  started: number;
}

export interface PipelineOptions {
  cameras: Record<string, WatchedCamera>;
  model: ModelDescription;
  slots: Slots;
  /** Has the model run on a slot. */
  infer: (slot: number) => void;
  /** Takes the analyses, in the order of their frames. */
  report: (analysis: FromVision) => void;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #memory = new PixelMemory();
  readonly #resizer: Resizer;
  readonly #watches: Map<string, Watch>;
  readonly #free: number[];
  /** What the model works on, by slot. */
  readonly #running = new Map<number, { job: Job; region: Region }>();
  readonly #waiting: FrameMessage[] = [];
  /** The frame in the pixel memory, until all its regions are in slots. */
  #current: Job | null = null;
  /** Frames that were looked at but not reported, oldest first. */
  readonly #jobs: Job[] = [];

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#resizer = new Resizer(this.#memory, options.model.input);
    this.#watches = new Map(
      Object.entries(options.cameras).map(([name, config]) => [name, new Watch(config)]),
    );
    this.#free = options.slots.inputs.map((_, slot) => slot);
  }

  /** Nothing is under way. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#jobs.length === 0;
  }

  frame(frame: FrameMessage): void {
    this.#waiting.push(frame);
    this.#advance();
  }

  setDetect(camera: string, on: boolean): void {
    this.#watches.get(camera)!.detect = on;
  }

  setOpen(camera: string, regions: readonly Region[]): void {
    this.#watches.get(camera)!.gatekeeper.setOpen(regions);
  }

  /** Has the next frame of the camera analysed, whatever moves. */
  wantSnapshot(camera: string): void {
    this.#watches.get(camera)!.gatekeeper.wantSnapshot();
  }

  /** Takes the model's answer in a slot. */
  answered(slot: number): void {
    const { job, region } = this.#running.get(slot)!;
    const { slots, model } = this.#options;
    const probabilities = toProbabilities(slots.outputs[slot]!, model.output.kind);
    this.#running.delete(slot);
    job.analysis.scores.push({ region, probabilities });
    job.analysis.times.inference += slots.times[slot]!;
    this.#free.push(slot);
    this.#advance();
  }

  /** Looks at frames, fills slots and reports, as far as it goes. */
  #advance(): void {
    for (;;) {
      if (!this.#current) {
        const frame = this.#waiting.shift();
        if (!frame) break;
        this.#current = this.#look(frame);
        this.#jobs.push(this.#current);
      }
      const job = this.#current;
      while (job.started < job.regions.length && this.#free.length > 0) this.#start(job);
      if (job.started < job.regions.length) break;
      this.#current = null;
    }
    for (let job = this.#jobs[0]; job && isComplete(job); job = this.#jobs[0]) {
      this.#jobs.shift();
      this.#options.report(job.analysis);
    }
  }

  /** Brings a frame into the pixel memory and decides what the model must see of it. */
  #look(frame: FrameMessage): Job {
    const { id, camera, format, monotonic, data } = frame;
    const began = performance.now();
    const watch = this.#watches.get(camera)!;
    let motion = 0;
    let verdict: Verdict = { gate: 'off', regions: [] };
    if (watch.detect) {
      this.#memory.bytes(data.byteLength).set(new Uint8Array(data));
      const seen = watch.motion.look(this.#memory, format, monotonic);
      motion = seen.share;
      verdict = watch.gatekeeper.judge(seen, monotonic);
    }
    const times = { motion: performance.now() - began, resize: 0, inference: 0 };
    const analysis = { id, gate: verdict.gate, motion, scores: [], times, data };
    return { frame, watch, analysis, regions: verdict.regions, started: 0 };
  }

  /** Resizes the next region of the frame in the pixel memory into a free slot and has the model run on it. */
  #start(job: Job): void {
    const began = performance.now();
    const slot = this.#free.pop()!;
    const region = job.regions[job.started++]!;
    this.#running.set(slot, { job, region });
    const input = this.#options.slots.inputs[slot]!;
    this.#resizer.resize(job.frame.format, region.box, job.watch.orientation, input);
    job.analysis.times.resize += performance.now() - began;
    this.#options.infer(slot);
  }
}

function isComplete({ regions, analysis }: Job): boolean {
  return analysis.scores.length === regions.length;
}
