/** Messages between main, the vision worker and the inference workers. */
import type { MessagePort } from 'node:worker_threads';
import type { CameraConfig, ModelConfig } from '../config/schema.ts';
import type { ErrorCode } from '../errors.ts';
import type { ModelDescription } from '../model/description.ts';
import type { Analysis, FrameFormat, Region } from '../types.ts';
import type { SessionConfig, SessionInfo } from './inference-session.ts';

/** The settings of a camera that the vision worker needs. */
export type WatchedCamera = Pick<
  CameraConfig,
  'detect' | 'rotate' | 'mirror' | 'classify' | 'gate' | 'interval' | 'motion' | 'zones'
>;

/** A model to run. */
export interface VisionModel {
  /** Identifies the model. */
  key: string;
  /** Absolute path of the .onnx file. */
  file: string;
  /** The same model, converted to exact sums beforehand (model/exact/exact-files.ts). */
  exactFile?: string | null | undefined;
  description: ModelDescription;
  config: SessionConfig & Pick<ModelConfig, 'sessions'>;
}

/** Keys of the models that analyse a camera: the zones that are named here, and everything else. */
export interface ModelUse {
  camera: string;
  zones: Record<string, string>;
}

/** The vision worker's end of the inference workers of one model. */
export interface ModelQueueData {
  key: string;
  model: ModelDescription;
  slots: SharedArrayBuffer;
  /** One for each session. */
  ports: MessagePort[];
}

export interface VisionWorkerData {
  cameras: Record<string, WatchedCamera>;
  queues: ModelQueueData[];
  /** By camera. */
  uses: Record<string, ModelUse>;
}

export interface InferenceWorkerData extends Omit<VisionModel, 'key'> {
  slots: SharedArrayBuffer;
  /** Index among the sessions of the model. */
  session: number;
  /** To the vision worker. Its messages are empty: they only wake a sleeping thread when the queue has work. */
  port: MessagePort;
}

/** A frame for the vision worker; `data` is transferred. */
export interface FrameMessage {
  type: 'frame';
  id: number;
  camera: string;
  format: FrameFormat;
  monotonic: number;
  data: ArrayBuffer;
}

/** Main → vision worker. */
export type ToVision =
  | FrameMessage
  | { type: 'detect'; camera: string; on: boolean }
  | { type: 'open'; camera: string; regions: Region[] }
  /** Additional models, and which models are used from now on; unused models are released. */
  | { type: 'models'; queues: ModelQueueData[]; uses: Record<string, ModelUse> }
  | { type: 'stop' };

/** Vision worker → main, once per frame and in frame order. `data` and the probabilities are transferred. */
export type FromVision = Pick<Analysis, 'gate' | 'motion' | 'scores' | 'times'> & {
  id: number;
  data: ArrayBuffer;
};

/** Inference worker → main, once. */
export type FromInference =
  | { type: 'ready'; info: SessionInfo }
  | { type: 'failed'; code: ErrorCode; message: string; hint: string | undefined };
