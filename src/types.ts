/**
 * The nouns between the stages, in the order in which data meets them:
 *
 *   camera → Frame → motion → Region → resize → ModelInput → session → Scores
 *          → smoothing, hysteresis → Detection, Event → SQLite → MQTT
 *
 * Times: `capturedAt`, `startedAt`, `endedAt` are wall-clock milliseconds since 1970 (for people and the
 * database); `monotonic` is milliseconds on the clock that never jumps (for every duration and order).
 */

/** 8-bit pixel layouts that capture may deliver: planar YUV 4:2:0 (Y, U, V, tightly packed) or packed RGB. */
export type PixelFormat = 'i420' | 'rgb24';

/** How YUV maps to RGB: BT.601 or BT.709 limited range (video), or BT.601 full range (JPEG). */
export type Colour = 'bt601' | 'bt709' | 'jpeg';

/** Size and layout of a picture, without its pixels. `width` and `height` are even for `i420`. */
export interface FrameFormat {
  width: number;
  height: number;
  pixels: PixelFormat;
  /** Ignored for `rgb24`. */
  colour: Colour;
}

/** One picture as a source hands it over. The buffer changes hands with it. */
export interface RawFrame {
  format: FrameFormat;
  data: ArrayBuffer;
}

/** One picture from one camera. `data` belongs to the frame pool and is transferred, never copied. */
export interface Frame {
  camera: string;
  /** Counts up from 0 for each camera, gaps included. */
  seq: number;
  capturedAt: number;
  monotonic: number;
  format: FrameFormat;
  data: ArrayBuffer;
}

/** A rectangle in fractions of the upright picture (after rotation and mirroring): 0 ≤ x, y, and x+w, y+h ≤ 1. */
export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** What gets classified: a rectangle of the picture, and the zone it stands for (null: the whole picture). */
export interface Region {
  box: Box;
  zone: string | null;
}

/** Why a frame was analysed, or why it was not. */
export type Gate = 'always' | 'motion' | 'interval' | 'event' | 'still' | 'light-switch' | 'off';

/** The form that a model wants its pixels in. A session feeds it with exactly one such picture. */
export interface ModelInput {
  width: number;
  height: number;
  layout: 'nhwc' | 'nchw';
  type: 'uint8' | 'int8' | 'float32';
  /** 3: colours; 1: grey, the luma of the picture. */
  channels: 1 | 3;
  /** Of the three channels. */
  order: 'rgb' | 'bgr';
  /** One for each channel in the given order: element = (pixel 0…255 − mean) × scale. For uint8 mostly 0 and 1. */
  mean: number[];
  scale: number[];
}

/** What a model said about one region: one probability per label of the model, summing to about 1, until they are freed. */
export interface Scores {
  region: Region;
  /** Key of the model. */
  model: string;
  probabilities: Float32Array<ArrayBuffer>;
}

/** Milliseconds spent on one frame in each stage of the vision threads. */
export interface StageTimes {
  motion: number;
  resize: number;
  inference: number;
}

/** What the vision threads found in one frame. `scores` is empty when the gate kept the model from running. */
export interface Analysis {
  camera: string;
  seq: number;
  capturedAt: number;
  monotonic: number;
  gate: Gate;
  /** Share of the picture that moved, 0…1. */
  motion: number;
  scores: Scores[];
  times: StageTimes;
}

/** What is known of the clock that a time was read from. */
export interface Stamp {
  /** The clock was not to be believed. */
  timeUncertain?: boolean;
  /** The setting of the clock, from one jump to the next; see time-judge.ts. */
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
  /** Name of the model that said so. */
  model: string;
}

/** Why an event fired: the scores that were in the window, the threshold they met and the gate that let them in. */
export interface Reason {
  scores: number[];
  threshold: number;
  hits: number;
  window: number;
  gate: Gate;
}

/** Something that was seen, from its start to its end: one per camera, zone and label at a time. */
export interface DetectionEvent extends Stamp {
  /** Unique for ever and sortable by start (UUID version 7). */
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
  /** Name of the model that said so. */
  model: string;
  /** Path of the best frame's JPEG, relative to the snapshot folder; null before one is written. */
  snapshot: string | null;
  reason: Reason;
}

/** A step in the life of an event: exactly one `start`, any number of `update`, exactly one `end`. */
export interface EventChange {
  type: 'start' | 'update' | 'end';
  event: DetectionEvent;
}

export type CameraStatus = 'online' | 'offline' | 'stalled' | 'disabled';

/** The shape of every long-lived part: `stop` resolves when nothing of it is running any more. */
export interface Service {
  start(): Promise<void>;
  stop(): Promise<void>;
}
