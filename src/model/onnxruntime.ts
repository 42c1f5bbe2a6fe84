/**
 * The only access to ONNX Runtime: every session is opened here, so that all of them use the same int8 kernel. (Biome
 * refuses all other imports of the package.) `dist/binding.js` is private to the package: the contract test
 * onnxruntime-binding.test.ts fails when a new version comes.
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

// Lookout logs its own message about unavailable providers; ONNX Runtime would write to standard error.
env.logLevel = 'fatal';

/** Version of ONNX Runtime. */
export const onnxruntime = env.versions.node ?? env.versions.common;

export interface SessionSettings extends Omit<InferenceSession.SessionOptions, 'extra'> {
  /** `model.exact`; `auto` where there is no configuration. */
  exact: Exact;
  /** The same model, made exact beforehand (model/exact/exact-files.ts). */
  exactFile?: string | null;
  /** Whether waiting threads spin; true by default, as in ONNX Runtime. */
  spinning?: boolean;
}

/** Opens a model from a file or from its bytes. @throws Error if ONNX Runtime refuses it */
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
 * Opens a model file. Opening and running it block the calling thread. The package's public class wraps the same calls
 * into promises and event loop turns, which costs one hundredth of the time of a MobileNetV2.
 * @throws Error if ONNX Runtime refuses it
 */
export function loadSession(file: string, settings: SessionSettings): Binding.InferenceSession {
  initOrt();
  const session = new binding.InferenceSession();
  const { source, options } = choose(file, settings);
  if (typeof source === 'string') session.loadModel(source, options);
  else session.loadModel(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength, options);
  return session;
}

/** Names of the execution providers in this build of ONNX Runtime. They may still fail to start. */
export function builtProviders(): Set<string> {
  return new Set(binding.listSupportedBackends().map(({ name }) => name));
}

/** Types of elements by their numbers in TensorProto.DataType, as the binding's metadata names them. */
const ELEMENT_TYPES = [
  undefined,
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
];

/** Name of a type of elements; undefined for one that no supported model has. */
export function elementType(type: number): string | undefined {
  return ELEMENT_TYPES[type];
}

interface Choice {
  source: string | Uint8Array;
  options: InferenceSession.SessionOptions;
}

/**
 * If the CPU has no fast exact kernel, it gets a converted model that does not need one. For models that cannot be converted,
 * and on other providers, ONNX Runtime is asked to turn all weights into uint8.
 */
function choose(model: string | Uint8Array, { exactFile, ...settings }: SessionSettings): Choice {
  const { exact, executionProviders: [first] = ['cpu'] } = settings;
  if (int8Kernel(exact).name !== 'exact') return { source: model, options: optionsOf(settings, false) };
  const own = first === 'cpu';
  if (own && exactFile && existsSync(exactFile)) {
    return { source: exactFile, options: optionsOf(settings, false) };
  }
  // The ONNX reader costs each thread megabytes, and the exact file usually exists: load the reader only here.
  const { exactModel } = load<typeof import('./exact/make-exact.ts')>('make-exact');
  const { separatedModel } = load<typeof import('./exact/separate.ts')>('separate');
  try {
    const bytes = typeof model === 'string' ? readFileSync(model) : model;
    const made = own ? exactModel(bytes) : null;
    if (made) return { source: made, options: optionsOf(settings, false) };
    return { source: separatedModel(bytes) ?? model, options: optionsOf(settings, true) };
  } catch {
    // ONNX Runtime reports what is wrong with the model.
    return { source: model, options: optionsOf(settings, true) };
  }
}

function load<Module>(name: string): Module {
  return createRequire(import.meta.url)(`./exact/${name}${extname(import.meta.filename)}`) as Module;
}

/** @param slow request ONNX Runtime's own exact kernel */
function optionsOf(
  { exact: _, spinning = true, ...options }: SessionSettings,
  slow: boolean,
): InferenceSession.SessionOptions {
  // Entries of onnxruntime_session_options_config_keys.h, such as `session.x64quantprecision`; values are strings.
  const session = {
    intra_op: { allow_spinning: spinning ? '1' : '0' },
    ...(slow && { x64quantprecision: '1' }),
  };
  return { ...options, extra: { session } };
}
