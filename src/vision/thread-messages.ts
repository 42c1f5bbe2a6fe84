/** What main, the vision worker and the inference worker say to each other. */
import type { MessagePort } from 'node:worker_threads';
import type { CameraConfig, ModelConfig } from '../config/schema.ts';
import type { ErrorCode } from '../errors.ts';
import type { ModelDescription } from '../model/description.ts';
import type { Analysis, FrameFormat, Region } from '../types.ts';
import type { SessionConfig, SessionInfo } from './inference-session.ts';

/** What the vision worker needs to know about a camera. */
export type WatchedCamera = Pick<
  CameraConfig,
  'detect' | 'rotate' | 'mirror' | 'classify' | 'gate' | 'interval' | 'motion' | 'zones'
>;

/** A model to be run. */
export interface VisionModel {
  /** Tells it from any other model. */
  key: string;
  /** Absolute path of the .onnx file. */
  file: string;
  /** The same model, made exact beforehand (model/exact/exact-files.ts). */
  exactFile?: string | null | undefined;
  description: ModelDescription;
  config: SessionConfig & Pick<ModelConfig, 'sessions'>;
}

/** Keys of the models that look at a camera: at zones that are named here, and at everything else. */
export interface ModelUse {
  camera: string;
  zones: Record<string, string>;
}

/** The vision worker's end of the inference workers of one model. */
export interface LaneData {
  key: string;
  model: ModelDescription;
  slots: SharedArrayBuffer;
  /** One for each session. */
  ports: MessagePort[];
}

export interface VisionWorkerData {
  cameras: Record<string, WatchedCamera>;
  lanes: LaneData[];
  /** By camera. */
  uses: Record<string, ModelUse>;
}

export interface InferenceWorkerData extends Omit<VisionModel, 'key'> {
  slots: SharedArrayBuffer;
  /** Its number among the sessions of the model, from 0. */
  session: number;
  /** To the vision worker. Its messages say nothing: they wake whoever sleeps while there is something in the queue. */
  port: MessagePort;
}

/** A frame on its way into the vision worker; `data` is transferred. */
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
  /** More models, and what is used from now on; models that are not are released. */
  | { type: 'models'; lanes: LaneData[]; uses: Record<string, ModelUse> }
  | { type: 'stop' };

/** Vision worker → main, once for each frame and in the frames' order. `data` and the probabilities are transferred. */
export type FromVision = Pick<Analysis, 'gate' | 'motion' | 'scores' | 'times'> & {
  id: number;
  data: ArrayBuffer;
};

/** Inference worker → main, once. */
export type FromInference =
  | { type: 'ready'; info: SessionInfo }
  | { type: 'failed'; code: ErrorCode; message: string; hint: string | undefined };
