/**
 * The only door to ONNX Runtime: whatever runs a model opens its session here, so that all of them multiply whole numbers
 * with the same kernel. (Biome refuses all other imports of the package.)
 */
import '../runtime/no-telemetry.ts';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { env, InferenceSession } from 'onnxruntime-node';
import { type Binding, binding, initOrt } from 'onnxruntime-node/dist/binding.js';
import { type Exact, int8Kernel } from './int8-kernel.ts';

export { type InferenceSession, Tensor, type TypedTensor } from 'onnxruntime-node';
export type { Binding };

// Providers that are configured but absent are our own message, not ONNX Runtime's on standard error.
env.logLevel = 'fatal';

/** Its version. */
export const onnxruntime = env.versions.node ?? env.versions.common;

export interface SessionSettings extends Omit<InferenceSession.SessionOptions, 'extra'> {
  /** `model.exact`; `auto` where there is no configuration. */
  exact: Exact;
  /** The same model, made exact beforehand (model/exact/exact-files.ts). */
  exactFile?: string | null;
  /** Waiting threads spin, as ONNX Runtime's do by default. */
  spinning?: boolean;
}

/** Opens a model from a file or from its bytes. @throws Error when ONNX Runtime refuses it */
export async function openSession(
  model: string | Uint8Array,
  settings: SessionSettings,
): Promise<InferenceSession> {
  const { source, options } = choose(model, settings);
  return typeof source === 'string'
    ? InferenceSession.create(source, options)
    : InferenceSession.create(source, options);
}

/**
 * Opens a model file, and blocks the calling thread meanwhile. So does running it: the package's own class wraps the same
 * calls into promises and turns of the event loop, a hundredth of the time of a MobileNetV2.
 * @throws Error when ONNX Runtime refuses it
 */
export function loadSession(file: string, settings: SessionSettings): Binding.InferenceSession {
  initOrt();
  const session = new binding.InferenceSession();
  const { source, options } = choose(file, settings);
  if (typeof source === 'string') session.loadModel(source, options);
  else session.loadModel(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength, options);
  return session;
}

/** Names of the execution providers that this build of ONNX Runtime has; whether they work is another matter. */
export function builtProviders(): Set<string> {
  return new Set(binding.listSupportedBackends().map(({ name }) => name));
}

interface Choice {
  source: string | Uint8Array;
  options: InferenceSession.SessionOptions;
}

/**
 * Where the CPU has no exact kernel that is fast, it gets a model that needs none. What cannot be made so, and what runs on
 * other providers, is left to ONNX Runtime, which then makes all weights uint8.
 */
function choose(model: string | Uint8Array, { exactFile, ...settings }: SessionSettings): Choice {
  const { exact, executionProviders: [first] = ['cpu'] } = settings;
  if (int8Kernel(exact).name !== 'exact') return { source: model, options: optionsOf(settings, false) };
  const own = first === 'cpu';
  if (own && exactFile && existsSync(exactFile)) {
    return { source: exactFile, options: optionsOf(settings, false) };
  }
  // Each thread that has the ONNX reader is megabytes larger, and mostly there is such a file.
  const { exactModel } = load<typeof import('./exact/make-exact.ts')>('make-exact');
  const { separatedModel } = load<typeof import('./exact/separate.ts')>('separate');
  try {
    const bytes = typeof model === 'string' ? readFileSync(model) : model;
    const made = own ? exactModel(bytes) : null;
    if (made) return { source: made, options: optionsOf(settings, false) };
    return { source: separatedModel(bytes) ?? model, options: optionsOf(settings, true) };
  } catch {
    // ONNX Runtime says what is wrong with it.
    return { source: model, options: optionsOf(settings, true) };
  }
}

function load<Module>(name: string): Module {
  return createRequire(import.meta.url)(`./exact/${name}${extname(import.meta.filename)}`) as Module;
}

/** @param slow ONNX Runtime is asked for its exact kernel */
function optionsOf(
  { exact: _, spinning = true, ...options }: SessionSettings,
  slow: boolean,
): InferenceSession.SessionOptions {
  // Entries of onnxruntime_session_options_config_keys.h, `session.x64quantprecision` and so on; values are texts.
  const session = {
    intra_op: { allow_spinning: spinning ? '1' : '0' },
    ...(slow && { x64quantprecision: '1' }),
  };
  return { ...options, extra: { session } };
}
