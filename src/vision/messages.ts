/** What main, the vision worker and the inference worker say to each other. */
import type { MessagePort } from 'node:worker_threads';
import type { CameraConfig } from '../config/schema.ts';
import type { ErrorCode } from '../errors.ts';
import type { ModelDescription } from '../model/description.ts';
import type { Analysis, PictureFormat, Region } from '../types.ts';
import type { SessionConfig, SessionInfo } from './session.ts';

/** What the vision worker needs to know about a camera. */
export type WatchedCamera = Pick<
  CameraConfig,
  'detect' | 'rotate' | 'mirror' | 'classify' | 'gate' | 'interval' | 'motion' | 'zones'
>;

export interface VisionWorkerData {
  cameras: Record<string, WatchedCamera>;
  model: ModelDescription;
  slots: SharedArrayBuffer;
  /** To the inference worker. */
  port: MessagePort;
}

export interface InferenceWorkerData {
  file: string;
  model: ModelDescription;
  config: SessionConfig;
  slots: SharedArrayBuffer;
  /** To the vision worker. It brings numbers of slots whose input is ready, and takes those whose output is. */
  port: MessagePort;
}

/** A frame on its way into the vision worker; `data` is transferred. */
export interface FrameMessage {
  type: 'frame';
  id: number;
  camera: string;
  format: PictureFormat;
  monotonic: number;
  data: ArrayBuffer;
}

/** Main → vision worker. */
export type ToVision =
  | FrameMessage
  | { type: 'detect'; camera: string; on: boolean }
  | { type: 'open'; camera: string; regions: Region[] }
  | { type: 'snapshot'; camera: string }
  | { type: 'stop' };

/** Vision worker → main, once for each frame and in the frames' order. `data` is transferred. */
export type FromVision = Pick<Analysis, 'gate' | 'motion' | 'scores' | 'times'> & {
  id: number;
  data: ArrayBuffer;
};

/** Inference worker → main, once. */
export type FromInference =
  | { type: 'ready'; info: SessionInfo }
  | { type: 'failed'; code: ErrorCode; message: string; hint: string | undefined };
