/**
 * The types that the stages exchange, in the order of the data:
 *
 *   camera → Frame → motion → Region → resize → ModelInput → session → Scores
 *          → smoothing, hysteresis → Detection, Event → SQLite → MQTT
 *
 * Times: `capturedAt`, `startedAt`, `endedAt` are wall-clock milliseconds since 1970 (for users and the database);
 * `monotonic` is milliseconds on the monotonic clock (for every duration and order).
 */

/** 8-bit pixel layouts of frames: planar YUV 4:2:0 (Y, U, V, tightly packed) or packed RGB. */
export type PixelFormat = 'i420' | 'rgb24';

/** How YUV maps to RGB: BT.601 or BT.709 limited range (video), or BT.601 full range (JPEG). */
export type Colour = 'bt601' | 'bt709' | 'jpeg';

/** Size and layout of a frame, without its pixels. `width` and `height` are even for `i420`. */
export interface FrameFormat {
  width: number;
  height: number;
  pixels: PixelFormat;
  /** Ignored for `rgb24`. */
  colour: Colour;
}

/** One frame as a source delivers it. The buffer changes hands with it. */
export interface RawFrame {
  format: FrameFormat;
  data: ArrayBuffer;
}

/** One frame from one camera. `data` belongs to the frame pool and is transferred, never copied. */
export interface Frame {
  camera: string;
  /** Counts from 0 for each camera, including dropped frames. */
  seq: number;
  capturedAt: number;
  monotonic: number;
  format: FrameFormat;
  data: ArrayBuffer;
}

/** A rectangle in fractions of the upright frame (after rotation and mirroring): 0 ≤ x, y, and x+w, y+h ≤ 1. */
export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** A part of a frame that is classified, and the zone that it belongs to (null: none). */
export interface Region {
  box: Box;
  zone: string | null;
}

/** Why a frame was analysed or skipped. */
export type Gate = 'always' | 'motion' | 'interval' | 'event' | 'still' | 'light-switch' | 'off';

/** The input format of a model: one image per inference. */
export interface ModelInput {
  width: number;
  height: number;
  layout: 'nhwc' | 'nchw';
  type: 'uint8' | 'int8' | 'float32';
  /** 3: colours; 1: grey, the luma of the frame. */
  channels: 1 | 3;
  /** Order of the three channels. */
  order: 'rgb' | 'bgr';
  /** One per channel in the given order: element = (pixel 0…255 − mean) × scale. For uint8 usually 0 and 1. */
  mean: number[];
  scale: number[];
}

/** Result of a model for one region: one probability per label, with a sum of about 1. The buffer is freed after use. */
export interface Scores {
  region: Region;
  /** Key of the model. */
  model: string;
  probabilities: Float32Array<ArrayBuffer>;
}

/** One thing that a detector found in an image or a region. */
export interface DetectedObject {
  label: string;
  /** 0…1 */
  score: number;
  box: Box;
}

/** Milliseconds spent on one frame in each stage of the vision threads. */
export interface StageTimes {
  motion: number;
  resize: number;
  inference: number;
}

/** Result of the vision threads for one frame. `scores` is empty when the gate skipped the model. */
export interface Analysis {
  camera: string;
  seq: number;
  capturedAt: number;
  monotonic: number;
  gate: Gate;
  /** Share of the frame that moved, 0…1. */
  motion: number;
  scores: Scores[];
  times: StageTimes;
}

/** Facts about the clock that a timestamp was read from. */
export interface Stamp {
  /** The clock was not reliable. */
  timeUncertain?: boolean;
  /** Number of the clock setting, which changes with each jump; see time-judge.ts. */
  clock?: number | null;
}

/** One label above the log threshold in one region of one analysed frame. */
export interface Detection extends Stamp {
  camera: string;
  zone: string | null;
  label: string;
  score: number;
  box: Box;
  capturedAt: number;
  /** Name of the model. */
  model: string;
}

/** Why an event started: the scores in the window, the threshold that they reached and the gate of the frame. */
export interface Reason {
  scores: number[];
  threshold: number;
  hits: number;
  window: number;
  gate: Gate;
}

/** A detected object from its start to its end: at most one open event per camera, zone and label. */
export interface DetectionEvent extends Stamp {
  /** Unique, and sortable by start (UUID version 7). */
  id: string;
  camera: string;
  zone: string | null;
  label: string;
  /** Latest and best score, 0…1. */
  score: number;
  topScore: number;
  /** Where the best score was. */
  box: Box;
  startedAt: number;
  /** Null while the event is open. */
  endedAt: number | null;
  /** Name of the model. */
  model: string;
  /** Path of the snapshot, relative to the snapshot folder; null before it is written. */
  snapshot: string | null;
  reason: Reason;
}

/** A step in the life of an event: exactly one `start`, any number of `update`, exactly one `end`. */
export interface EventChange {
  type: 'start' | 'update' | 'end';
  event: DetectionEvent;
}

export type CameraStatus = 'online' | 'offline' | 'stalled' | 'disabled';

/** A long-lived part of the daemon. `stop` resolves when nothing of it runs any more. */
export interface Service {
  start(): Promise<void>;
  stop(): Promise<void>;
}
