import { availableParallelism } from 'node:os';
import type { ModelConfig } from '../config/schema.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { outputFitsLabels, scoresForLabels } from '../model/answers.ts';
import type { ModelDescription } from '../model/description.ts';
import { inputShape } from '../model/input-shape.ts';
import { type Int8Kernel, int8Kernel } from '../model/int8-kernel.ts';
import {
  type Binding,
  builtProviders,
  elementType,
  type InferenceSession,
  loadSession,
  Tensor,
  type TypedTensor,
} from '../model/onnxruntime.ts';
import { free } from '../runtime/garbage.ts';

export type SessionConfig = Pick<ModelConfig, 'providers' | 'threads' | 'spinning' | 'exact'>;
type Provider = ModelConfig['providers'][number];

/** A dimension of dynamic size. */
const DYNAMIC = -1;

/** The provider that a session uses, and those it skipped. */
export interface SessionInfo {
  provider: Provider;
  /** Threads that one inference uses. */
  threads: number;
  /** What multiplies integers on the CPU. */
  kernel: Int8Kernel;
  /** Preferred providers that are unavailable, and why. */
  skipped: { provider: Provider; reason: string }[];
}

/** A model that is ready to run. Loading and running block the calling thread. */
export class ModelSession {
  readonly info: SessionInfo;
  readonly #session: Binding.InferenceSession;
  readonly #description: ModelDescription;

  private constructor(session: Binding.InferenceSession, description: ModelDescription, info: SessionInfo) {
    this.#session = session;
    this.#description = description;
    checkSignature(session, description);
    this.info = info;
  }

  /**
   * Loads a model with the first of the configured providers that is available.
   * @param file absolute path of the .onnx file
   * @param exactFile the same model, converted to exact sums beforehand (model/exact/exact-files.ts)
   * @throws LookoutError MODEL_PROVIDER_MISSING, MODEL_UNUSABLE, MODEL_INPUT_UNSUPPORTED, MODEL_OUTPUT_UNSUPPORTED
   */
  static open(
    file: string,
    description: ModelDescription,
    config: SessionConfig,
    exactFile: string | null = null,
  ): ModelSession {
    const threads = config.threads || Math.max(1, Math.floor(availableParallelism() / 2));
    const supported = builtProviders();
    const kernel = int8Kernel(config.exact);
    const skipped: SessionInfo['skipped'] = [];
    for (const [index, provider] of config.providers.entries()) {
      if (!supported.has(provider)) {
        skipped.push({ provider, reason: 'this build of ONNX Runtime does not include it' });
        continue;
      }
      try {
        const session = loadSession(file, {
          exact: config.exact,
          exactFile,
          spinning: config.spinning,
          // The less preferred providers run the operators that the preferred one does not support.
          executionProviders: config.providers.slice(index).filter((name) => supported.has(name)),
          graphOptimizationLevel: 'all',
          intraOpNumThreads: threads,
          interOpNumThreads: 1,
        });
        return new ModelSession(session, description, { provider, threads, kernel, skipped });
      } catch (cause) {
        if (cause instanceof LookoutError) throw cause;
        if (provider === 'cpu') {
          throw new LookoutError(
            'MODEL_UNUSABLE',
            `model.file: ONNX Runtime cannot load ${file}: ${messageOf(cause)}`,
            { cause },
          );
        }
        skipped.push({ provider, reason: reasonOf(cause) });
      }
    }
    const reasons = skipped.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ');
    throw new LookoutError(
      'MODEL_PROVIDER_MISSING',
      `model.providers: no provider is available (${reasons})`,
      {
        hint: 'Add `cpu` to model.providers, or install the libraries of the provider.',
      },
    );
  }

  /**
   * Binds the model to reusable buffers, which may be shared with other threads.
   * @param input bytes of the model input
   * @param output one number per label
   * @returns a function that runs the model once, from `input` to `output`
   */
  bind(input: Uint8Array, output: Float32Array): () => void {
    const { output: answer } = this.#description;
    return this.bindOutputs(input, [answer.name], ([data]) => scoresForLabels(data!, answer.kind, output));
  }

  /**
   * As `bind`, for outputs of any shape.
   * @param use gets the outputs in the order of their names; they are freed when it returns
   */
  bindOutputs(
    input: Uint8Array,
    names: readonly string[],
    use: (outputs: readonly Float32Array[]) => void,
  ): () => void {
    const { input: wanted } = this.#description;
    // ONNX Runtime reads shared memory in place, although its types exclude it.
    const buffer = input.buffer as ArrayBuffer;
    const Elements = { uint8: Uint8Array, int8: Int8Array, float32: Float32Array }[wanted.type];
    const length = input.byteLength / Elements.BYTES_PER_ELEMENT;
    const elements = new Elements(buffer, input.byteOffset, length);
    const feeds = { [wanted.name]: new Tensor(wanted.type, elements, inputShape(wanted)) };
    const fetches = Object.fromEntries(names.map((name) => [name, null]));
    const options: InferenceSession.RunOptions = {};
    const outputs = new Array<Float32Array>(names.length);
    return () => {
      const results = this.#session.run(feeds, fetches, options);
      for (let index = 0; index < names.length; index++) {
        outputs[index] = (results[names[index]!] as TypedTensor<'float32'>).data;
      }
      use(outputs);
      for (const { buffer } of outputs) free(buffer as ArrayBuffer);
    };
  }

  release(): void {
    this.#session.dispose();
  }
}

/** Why a provider is unavailable, without the names of ONNX Runtime's functions. */
function reasonOf(cause: unknown): string {
  const message = messageOf(cause);
  return message.includes('Failed to load shared library') ? 'its libraries are not installed' : message;
}

/** Compares the description with what ONNX Runtime found in the model. Dynamic dimensions match any size. */
function checkSignature(
  { inputMetadata, outputMetadata }: Binding.InferenceSession,
  { input, output, labels, boxes }: ModelDescription,
): void {
  const shape = inputShape(input);
  const [found] = inputMetadata;
  const fits =
    inputMetadata.length === 1 &&
    found?.isTensor &&
    found.name === input.name &&
    nameOf(found.type) === input.type &&
    found.shape.length === shape.length &&
    found.shape.every((size, axis) => size === DYNAMIC || size === shape[axis]);
  if (!fits) {
    throw new LookoutError(
      'MODEL_INPUT_UNSUPPORTED',
      `model: expected the input ${input.name} ${input.type} ${shape.join('×')}, ` +
        `found ${inputMetadata.map(signature).join(', ')}`,
    );
  }
  // The shapes of a detector's outputs are those of the graph, which its description was checked against.
  if (boxes) return;
  const answer = outputMetadata.find(({ name }) => name === output.name);
  const sizes = answer?.isTensor ? answer.shape.map((size) => (size === DYNAMIC ? 1 : size)) : [];
  const count = sizes.reduce((product, size) => product * size, 1);
  if (!answer?.isTensor || nameOf(answer.type) !== 'float32' || !outputFitsLabels(count, labels.length)) {
    throw new LookoutError(
      'MODEL_OUTPUT_UNSUPPORTED',
      `model: expected the output ${output.name} float32 with one number for each of ${labels.length} labels, ` +
        `found ${outputMetadata.map(signature).join(', ')}`,
    );
  }
}

function signature({ name, isTensor, type, shape, symbolicDimensions }: Binding.ValueMetadata): string {
  if (!isTensor) return name;
  const sizes = shape.map((size, axis) => (size === DYNAMIC ? symbolicDimensions[axis] : size));
  return `${name} ${nameOf(type)} ${sizes.join('×')}`;
}

function nameOf(type: number): string {
  return elementType(type) ?? `type ${type}`;
}
