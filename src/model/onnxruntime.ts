/**
 * The only door to ONNX Runtime: whatever runs a model opens its session here, so that all of them multiply whole numbers
 * with the same kernel. (Biome refuses all other imports of the package.)
 */
import '../platform/no-telemetry.ts';
import { env, InferenceSession } from 'onnxruntime-node';
import { type Binding, binding, initOrt } from 'onnxruntime-node/dist/binding.js';
import { type Exact, int8Kernel } from './kernel.ts';

export { type InferenceSession, Tensor, type TypedTensor } from 'onnxruntime-node';
export type { Binding };

// Providers that are configured but absent are our own message, not ONNX Runtime's on standard error.
env.logLevel = 'fatal';

/** Its version. */
export const onnxruntime = env.versions.node ?? env.versions.common;

export interface SessionSettings extends Omit<InferenceSession.SessionOptions, 'extra'> {
  /** `model.exact`; `auto` where there is no configuration. */
  exact: Exact;
  /** Waiting threads spin, as ONNX Runtime's do by default. */
  spinning?: boolean;
}

/** Opens a model from a file or from its bytes. @throws Error when ONNX Runtime refuses it */
export async function openSession(
  model: string | Uint8Array,
  settings: SessionSettings,
): Promise<InferenceSession> {
  const options = optionsOf(settings);
  return typeof model === 'string'
    ? InferenceSession.create(model, options)
    : InferenceSession.create(model, options);
}

/**
 * Opens a model file, and blocks the calling thread meanwhile. So does running it: the package's own class wraps the same
 * calls into promises and turns of the event loop, a hundredth of the time of a MobileNetV2.
 * @throws Error when ONNX Runtime refuses it
 */
export function loadSession(file: string, settings: SessionSettings): Binding.InferenceSession {
  initOrt();
  const session = new binding.InferenceSession();
  session.loadModel(file, optionsOf(settings));
  return session;
}

/** Names of the execution providers that this build of ONNX Runtime has; whether they work is another matter. */
export function builtProviders(): Set<string> {
  return new Set(binding.listSupportedBackends().map(({ name }) => name));
}

function optionsOf({ exact, spinning = true, ...options }: SessionSettings): InferenceSession.SessionOptions {
  // Entries of onnxruntime_session_options_config_keys.h, `session.x64quantprecision` and so on; values are texts.
  const session = {
    intra_op: { allow_spinning: spinning ? '1' : '0' },
    ...(int8Kernel(exact).name === 'exact' && { x64quantprecision: '1' }),
  };
  return { ...options, extra: { session } };
}
