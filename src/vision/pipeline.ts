/**
 * The work of the vision thread, strictly in the order of the frames:
 *
 *   frame ─▶ motion ─▶ gate ─┬─ nothing to see ──────────────────────────────▶ analysis
 *                            └─ regions ─▶ resize into a free slot ─▶ model ─▶ analysis
 *
 * While the model runs on one slot, the next is filled. Each model has slots of its own; all see the same picture.
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

/** One camera: how its pictures lie, what its background looks like, and what of it is to be seen. */
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

/** A model and the way to it. */
export interface InferenceLane {
  key: string;
  model: ModelDescription;
  slots: Slots;
  /** Has the model run on a slot. */
  infer: (slot: number) => void;
  /** Lets go of the model. */
  close: () => void;
}

/** A lane in use, or one whose last answers are awaited. */
class ActiveLane {
  readonly lane: InferenceLane;
  readonly resizer: Resizer;
  readonly free: number[];
  /** What the model works on, by slot. */
  readonly running: ({ job: Job; region: Region } | null)[] = [];
  /** Regions that it has not answered for yet. */
  pending = 0;
  retired = false;

  constructor(lane: InferenceLane, memory: PixelMemory) {
    this.lane = lane;
    this.resizer = new Resizer(memory, lane.model.input);
    this.free = lane.slots.inputs.map((_, slot) => slot);
  }
}

/** A frame whose analysis is not complete. */
interface Job {
  frame: FrameMessage;
  watch: CameraState;
  analysis: FromVision;
  /** What the models must look at; the first `started` of them are, or were, in slots. */
  regions: { region: Region; to: ActiveLane }[];
  started: number;
}

export interface PipelineOptions {
  cameras: Record<string, WatchedCamera>;
  lanes: readonly InferenceLane[];
  uses: Record<string, ModelUse>;
  /** Takes the analyses, in the order of their frames. */
  report: (analysis: FromVision) => void;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #memory = new PixelMemory();
  readonly #watches: Map<string, CameraState>;
  /** Models in use by their key, and those as well whose last answers are awaited by their lane. */
  readonly #lanes = new Map<string, ActiveLane>();
  readonly #open = new Map<InferenceLane, ActiveLane>();
  #uses: Record<string, ModelUse> = {};
  readonly #waiting: FrameMessage[] = [];
  /** The frame in the pixel memory, until all its regions are in slots. */
  #current: Job | null = null;
  /** Frames that were looked at but not reported, oldest first. */
  readonly #jobs: Job[] = [];

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#watches = new Map(
      Object.entries(options.cameras).map(([name, config]) => [name, new CameraState(config)]),
    );
    this.setModels(options.lanes, options.uses);
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

  /**
   * Adds models and says which one looks at what from the next frame on. A model that is used no more is closed when
   * it has answered for the frames before.
   */
  setModels(added: readonly InferenceLane[], uses: Record<string, ModelUse>): void {
    for (const lane of added) {
      const open = new ActiveLane(lane, this.#memory);
      this.#lanes.set(lane.key, open);
      this.#open.set(lane, open);
    }
    this.#uses = uses;
    const used = new Set(
      Object.values(uses).flatMap(({ camera, zones }) => [camera, ...Object.values(zones)]),
    );
    for (const [key, open] of this.#lanes) {
      if (used.has(key)) continue;
      this.#lanes.delete(key);
      open.retired = true;
      this.#closeWhenDone(open);
    }
  }

  /** Takes a model's answer in one of its slots. */
  answered(lane: InferenceLane, slot: number): void {
    const open = this.#open.get(lane)!;
    const { job, region } = open.running[slot]!;
    const { key, slots, model } = lane;
    const probabilities = toProbabilities(slots.outputs[slot]!, model.output.kind);
    open.running[slot] = null;
    job.analysis.scores.push({ region, model: key, probabilities });
    job.analysis.times.inference += slots.times[slot]!;
    open.free.push(slot);
    open.pending--;
    this.#advance();
    this.#closeWhenDone(open);
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
      while ((job.regions[job.started]?.to.free.length ?? 0) > 0) this.#start(job);
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
    const regions = verdict.regions.map((region) => ({ region, to: this.#laneOf(camera, region) }));
    for (const { to } of regions) to.pending++;
    return { frame, watch, analysis, regions, started: 0 };
  }

  /** Resizes the next region of the frame in the pixel memory into a free slot and has the model run on it. */
  #start(job: Job): void {
    const began = performance.now();
    const { region, to } = job.regions[job.started++]!;
    const slot = to.free.pop()!;
    to.running[slot] = { job, region };
    const input = to.lane.slots.inputs[slot]!;
    to.resizer.resize(job.frame.format, region.box, job.watch.orientation, input);
    job.analysis.times.resize += performance.now() - began;
    to.lane.infer(slot);
  }

  #closeWhenDone(open: ActiveLane): void {
    if (!open.retired || open.pending > 0) return;
    this.#open.delete(open.lane);
    open.lane.close();
  }

  #laneOf(camera: string, { zone }: Region): ActiveLane {
    const use = this.#uses[camera]!;
    const key = (zone === null ? undefined : use.zones[zone]) ?? use.camera;
    return this.#lanes.get(key)!;
  }
}

function isComplete({ regions, analysis }: Job): boolean {
  return analysis.scores.length === regions.length;
}
